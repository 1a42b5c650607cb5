/* Normalising the scope id of an IPv6 address that a receive returned (RFC 4007; compare bpo-32221). Pure. */
#ifndef SCOPE_H
#define SCOPE_H

#include "settings.h"

#include <netinet/in.h>
#include <stdbool.h>

/* Apply the policy to an address. Returns whether it changed; the family, the port and the flow are never touched, the
 * address only by SCOPE_KAME. Idempotent. */
bool scope_normalise(enum scope_policy policy, struct sockaddr_in6 *address);

#endif
