#include "policy.h"

#include "trace/signal_names.h"

#include <signal.h>

/* Those that C programs stop or time out a receive by: rabbitmq-c #385, sockpp #24, Stevens' alarm, netperf. */
static const int intended[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM};
static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

#define IS_ONE_OF(list, signal) is_one_of(list, sizeof(list) / sizeof((list)[0]), signal)

static bool is_one_of(const int *list, size_t count, int signal)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == signal)
            return true;
    return false;
}

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
        return !handled->restarts && (handled->interrupting || handled->kick || IS_ONE_OF(intended, handled->signal));
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
    return policy != EINTR_ALWAYS && signal_bit(signal) != 0 && !IS_ONE_OF(synchronous, signal);
}
