/* Normalising the scope id of an IPv6 address that a receive returned (RFC 4007; compare bpo-32221). Pure. */
#ifndef SCOPE_H
#define SCOPE_H

#include "settings.h"

#include <netinet/in.h>
#include <stdbool.h>

/* Whether the policy may change an address with this scope id: asked first, because most have none. */
static inline bool scope_may_change(enum scope_policy policy, uint32_t scope_id)
{
    return policy == SCOPE_KAME || (scope_id != 0 && policy != SCOPE_KEEP);
}

/* Apply the policy to an address. Returns whether it changed; the family, the port and the flow are never touched, the
 * address only by SCOPE_KAME. Idempotent. */
bool scope_normalise(enum scope_policy policy, struct sockaddr_in6 *address);

#endif
