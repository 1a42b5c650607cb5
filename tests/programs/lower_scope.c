/* A lower layer's recvfrom that answers with an address of its own choosing, as a user-space stack may:
 * LOWER_ADDRESS and LOWER_SCOPE. */
#include "victim.h"

#include <dlfcn.h>

typedef ssize_t recvfrom_function(int, void *, size_t, int, struct sockaddr *, socklen_t *);

ssize_t recvfrom(int fd, void *restrict buffer, size_t length, int flags, __SOCKADDR_ARG address,
                 socklen_t *restrict address_length)
{
    recvfrom_function *next = (recvfrom_function *)(uintptr_t)dlsym(RTLD_NEXT, "recvfrom");
    socklen_t room = address_length != NULL ? *address_length : 0;
    ssize_t result = next(fd, buffer, length, flags, address.__sockaddr__, address_length);
    const char *chosen = getenv("LOWER_ADDRESS"), *scope = getenv("LOWER_SCOPE");
    if (result < 0 || address.__sockaddr__ == NULL || chosen == NULL || scope == NULL)
        return result;
    struct sockaddr_in6 answer;
    socklen_t valid = room < sizeof answer ? room : sizeof answer;
    memcpy(&answer, address.__sockaddr__, valid);
    inet_pton(AF_INET6, chosen, &answer.sin6_addr);
    answer.sin6_scope_id = (uint32_t)strtoul(scope, NULL, 10);
    memcpy(address.__sockaddr__, &answer, valid);
    return result;
}
