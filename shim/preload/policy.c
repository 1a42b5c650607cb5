#include "policy.h"

#include "trace/signal_names.h"

bool policy_passes(enum eintr_policy policy, uint64_t pass, const struct handled_signal *handled)
{
    if ((pass & signal_bit(handled->signal)) != 0)
        return true;
    switch (policy) {
    case EINTR_NEVER:
        return true;
    case EINTR_RESTART:
        return !handled->restarts;
    case EINTR_INTENT:
        return !handled->restarts &&
               (handled->interrupting || handled->kick || (signals_of_intent() & signal_bit(handled->signal)) != 0);
    case EINTR_ALWAYS:
        break;
    }
    return false;
}

bool policy_watches(enum eintr_policy policy, uint64_t pass, int signal)
{
    if (policy == EINTR_NEVER)
        return false;
    if ((pass & signal_bit(signal)) != 0)
        return true;
    return policy != EINTR_ALWAYS && (signal_bit(signal) & ~signals_of_faults()) != 0;
}
