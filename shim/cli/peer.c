#include "peer.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define MAPPED_BITS 96

/* ::ffff:a.b.c.d */
static void map_ipv4(const uint8_t ipv4[4], uint8_t ipv6[16])
{
    memset(ipv6, 0, 10);
    memset(ipv6 + 10, 0xff, 2);
    memcpy(ipv6 + 12, ipv4, 4);
}

/* A number of at most three digits that ends the text. */
static bool parse_bits(const char *text, unsigned int max, unsigned int *bits)
{
    unsigned int number = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 3)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (unsigned int)(*text - '0');
    }
    *bits = number;
    return number <= max;
}

static bool parse_unix(struct peer_filter *filter, const char *value)
{
    size_t length = strlen(value);
    if (length > sizeof filter->path)
        return false;
    *filter = (struct peer_filter){.family = AF_UNIX, .path_length = length};
    memcpy(filter->path, value, length);
    return true;
}

bool peer_parse(struct peer_filter *filter, const char *value)
{
    if (value[0] == '/' || value[0] == '@')
        return parse_unix(filter, value);

    char address[INET6_ADDRSTRLEN];
    bool bracket = value[0] == '[';
    const char *from = value + bracket;
    size_t length = strcspn(from, bracket ? "]" : "/");
    if (length >= sizeof address || (bracket && from[length] != ']'))
        return false;
    memcpy(address, from, length);
    address[length] = '\0';
    const char *rest = from + length + bracket;
    if (*rest != '\0' && *rest != '/')
        return false;

    struct peer_filter parsed = {.family = AF_INET6};
    uint8_t ipv4[4];
    bool is_ipv4 = !bracket && inet_pton(AF_INET, address, ipv4) == 1;
    if (is_ipv4)
        map_ipv4(ipv4, parsed.address);
    else if (inet_pton(AF_INET6, address, parsed.address) != 1)
        return false;
    unsigned int max = is_ipv4 ? 32 : 128;
    parsed.bits = max;
    if (*rest == '/' && !parse_bits(rest + 1, max, &parsed.bits))
        return false;
    parsed.bits += is_ipv4 ? MAPPED_BITS : 0;
    *filter = parsed;
    return true;
}

static bool same_bits(const uint8_t *left, const uint8_t *right, unsigned int bits)
{
    unsigned int bytes = bits / 8, rest = bits % 8;
    if (memcmp(left, right, bytes) != 0)
        return false;
    return rest == 0 || (left[bytes] ^ right[bytes]) >> (8 - rest) == 0;
}

bool peer_matches(const struct peer_filter *filter, const struct event *event)
{
    const struct recvshim_record *record = &event->record;
    if ((record->result_flags & RECVSHIM_RESULT_PEER) == 0)
        return false;
    if (filter->family == AF_UNIX)
        return record->family == AF_UNIX && event->address_length == filter->path_length &&
               memcmp(event->address, filter->path, filter->path_length) == 0;
    uint8_t address[16];
    if (record->family == AF_INET)
        map_ipv4(record->address, address);
    else if (record->family == AF_INET6)
        memcpy(address, record->address, sizeof address);
    else
        return false;
    /* ::/0 is every IPv6 address, and no IPv4 one. */
    if (record->family == AF_INET && filter->bits < MAPPED_BITS)
        return false;
    return same_bits(address, filter->address, filter->bits);
}
