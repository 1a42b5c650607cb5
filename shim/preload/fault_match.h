/* Whether a rule of fault injection has to do with a receive, and what it draws. Pure: rules and facts go in. */
#ifndef FAULT_MATCH_H
#define FAULT_MATCH_H

#include "call.h"

#include <stdbool.h>
#include <stdint.h>

/* What is known of a receive before it is made. */
struct fault_facts {
    const struct call *call;
    int type;       /* the socket's, as SOCK_STREAM; 0 where it cannot be known, -1: not asked yet */
    bool may_sleep; /* a filter of seccomp may not expect it */
    bool has_peer;
    struct recvshim_address peer; /* of the connection, or the source of the datagram that is to come */
    uint64_t origin;              /* of its connection */
    uint64_t received;            /* bytes on its connection until now */
};

/* Whether the rule counts this receive: calls, descriptor, socket, peer, and what its action can act on. */
bool fault_selects(const struct recvshim_rule *rule, const struct fault_facts *facts);

/* Whether the rule looks at the socket's type, or at its peer. */
bool fault_asks_type(const struct recvshim_rule *rule);
static inline bool fault_asks_peer(const struct recvshim_rule *rule)
{
    return rule->family != 0 || rule->port != 0;
}

/* Whether a peer is one of those that the rule names. */
bool fault_agrees(const struct recvshim_rule *rule, const struct recvshim_address *peer);

/* Whether the Nth of the receives that it counts, from 1, is one of its `when`. */
static inline bool fault_is_due(const struct recvshim_rule *rule, uint64_t count)
{
    return count >= rule->first && count <= rule->last && (count - rule->first) % rule->step == 0;
}

/* What all random choices for one receive follow from. `number` is the rule's, from 1; `ordinal` the receive's on its
 * connection. */
uint64_t fault_key(uint64_t seed, uint32_t number, uint64_t origin, uint64_t ordinal);

/* The choices: whether it happens, the action's value, what a `corrupt` draws its bits from (never 0). */
bool fault_happens(const struct recvshim_rule *rule, uint64_t key);
uint64_t fault_value(const struct recvshim_rule *rule, uint64_t key);
uint64_t fault_draw(const struct recvshim_rule *rule, uint64_t key);

/* To flip so many bits of data of that size: how many they are then, and which, by a number from 0 to below that. */
uint64_t fault_bits(size_t size, uint64_t bits);
uint64_t fault_bit(size_t size, uint64_t bits, uint64_t draw, uint64_t number);

#endif
