/* Peers by address: an IP address or network, or a unix socket's path. Pure. */
#ifndef PEER_H
#define PEER_H

#include "event.h"

#include <stdbool.h>
#include <stdint.h>

struct peer_filter {
    int family;          /* AF_INET6, which IPv4 is mapped into; AF_UNIX */
    unsigned int bits;   /* of the address that count, 0 to 128 */
    uint8_t address[16]; /* network byte order */
    size_t path_length;
    char path[108]; /* an abstract name begins with @ */
};

/* ADDRESS[/BITS], an IPv6 address bare or in brackets; or a path, or @name. Returns whether it was one. */
bool peer_parse(struct peer_filter *filter, const char *value);

/* IPv4 matches its IPv6-mapped form (RFC 4291, 2.5.5.2) as well: dual-stack sockets see only that one. */
bool peer_matches(const struct peer_filter *filter, const struct event *event);

#endif
