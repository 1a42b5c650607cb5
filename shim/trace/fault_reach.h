/* What rules of fault injection can reach: whether one can act at all, and whether an earlier one leaves it anything.
 * Pure. */
#ifndef FAULT_REACH_H
#define FAULT_REACH_H

#include "recvshim/trace.h"

#include <stdbool.h>

/* Why a rule can never act, whatever else there is. */
struct fault_contradiction {
    bool (*holds)(const struct recvshim_rule *rule);
    const char *option; /* whose value contradicts the action; NULL: it is the action's own */
    const char *what;   /* is wrong with it */
    const char *expected;
};

/* NULL where it can act. */
const struct fault_contradiction *fault_contradiction(const struct recvshim_rule *rule);

/* Whether `earlier` acts on every receive on which `later` would. Where that is not certain it returns false. */
bool fault_always_first(const struct recvshim_rule *earlier, const struct recvshim_rule *later);

/* Whether the rule needs one of its connection's counters. */
bool fault_needs_counter(const struct recvshim_rule *rule);

#endif
