#include "address.h"

#include "recorder.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* Straight from the bytes of an address, which may be unaligned: a copy of the whole would be stored in two pieces, and
 * a field across them waits for both. */
#define copy_field(target, bytes, type, field)                                                                         \
    memcpy((target), (bytes) + offsetof(type, field), sizeof(((type *)NULL)->field))

static uint32_t intern(const char *path, size_t length)
{
    /* A path may or may not be terminated; an abstract name begins with a zero byte and ends with the length. */
    if (length > 0 && path[0] != '\0')
        length = strnlen(path, length);
    return length > 0 ? recorder_name(path, length) : 0;
}

bool address_take(const struct sockaddr *sockaddr, socklen_t size, struct recvshim_address *address)
{
    const char *bytes = (const char *)sockaddr;
    sa_family_t family;
    in_port_t port = 0;
    if (size < sizeof family)
        return false;
    memcpy(&family, bytes, sizeof family);
    if (family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        copy_field(address->bytes, bytes, struct sockaddr_in, sin_addr);
        copy_field(&port, bytes, struct sockaddr_in, sin_port);
    } else if (family == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
        copy_field(address->bytes, bytes, struct sockaddr_in6, sin6_addr);
        copy_field(&port, bytes, struct sockaddr_in6, sin6_port);
        if (size >= sizeof(struct sockaddr_in6)) /* RFC 2133's is shorter */
            copy_field(&address->scope, bytes, struct sockaddr_in6, sin6_scope_id);
    } else if (family == AF_UNIX) {
        size_t begin = offsetof(struct sockaddr_un, sun_path);
        uint32_t name = intern(bytes + begin, size > begin ? size - begin : 0);
        memcpy(address->bytes, &name, sizeof name);
    } else {
        return false;
    }
    address->family = family;
    address->port = ntohs(port);
    return true;
}
