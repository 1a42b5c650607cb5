#include "scope.h"

/* Whether the kernel gives the address a scope id: fe80::/10, and multicast of interface (ffX1) and link scope (ffX2).
 * This is __ipv6_addr_needs_scope_id() of include/net/ipv6.h. */
static bool has_scope(const uint8_t bytes[16])
{
    if (bytes[0] == 0xfe)
        return (bytes[1] & 0xc0) == 0x80;
    return bytes[0] == 0xff && ((bytes[1] & 0x0f) == 1 || (bytes[1] & 0x0f) == 2);
}

bool scope_normalise(enum scope_policy policy, struct sockaddr_in6 *address)
{
    uint8_t *bytes = address->sin6_addr.s6_addr;
    uint32_t scope = address->sin6_scope_id;
    bool moved = false;
    switch (policy) {
    case SCOPE_CANONICAL:
        scope = has_scope(bytes) ? scope : 0;
        break;
    case SCOPE_STRIP:
        scope = 0;
        break;
    case SCOPE_KAME:
        /* KAME stacks keep the zone inside the address, in network order. */
        if (has_scope(bytes) && (bytes[2] != 0 || bytes[3] != 0)) {
            scope = (uint32_t)bytes[2] << 8 | bytes[3];
            bytes[2] = bytes[3] = 0;
            moved = true;
        }
        break;
    case SCOPE_KEEP:
        break;
    }
    moved = moved || scope != address->sin6_scope_id;
    address->sin6_scope_id = scope;
    return moved;
}
