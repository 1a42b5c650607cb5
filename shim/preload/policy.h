/* Which interruptions of a receive reach the program: SEMANTICS.md's table of policies. Pure. */
#ifndef POLICY_H
#define POLICY_H

#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/* A signal that a handler of the program's ran for. */
struct handled_signal {
    int signal;
    bool restarts;     /* the handler has SA_RESTART */
    bool interrupting; /* the program gave siginterrupt(signal, 1) */
    bool kick;         /* it was sent to a thread: SI_TKILL, of pthread_kill, tgkill and raise */
};

/* Whether the interruption is left to the program because this ran meanwhile. */
bool policy_passes(enum eintr_policy policy, uint64_t pass, const struct handled_signal *handled);

/* Whether policy_passes() has to be told of the signal when it is handled. Never of those that the program's own
 * instructions raise, unless they are listed: they interrupt no receive, and handlers for them look at more than their
 * arguments. */
bool policy_watches(enum eintr_policy policy, uint64_t pass, int signal);

#endif
