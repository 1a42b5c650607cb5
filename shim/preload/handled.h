/* Which of the program's handlers ran in this thread, and when: noted by their wrappers (handlers.c), asked for by a
 * receive that was interrupted. A moment is a count of handlers begun in this thread. */
#ifndef HANDLED_H
#define HANDLED_H

#include "thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Now. One load, at the beginning of every receive. */
static inline uint64_t handled_now(void)
{
    return atomic_load_explicit(&thread_self.handled, memory_order_relaxed);
}

/* A handler begins, for this signal; `restarts`: with SA_RESTART; `passes`: an interruption by it is left to the
 * program. Called in the handler. */
void handled_begins(int signal, bool restarts, bool passes);

/* Whether one that passes began after that moment, and whether one without SA_RESTART did. */
bool handled_passing(uint64_t since);
bool handled_interrupting(uint64_t since);

/* The signals that handlers began for after that moment: a set as of signal_bit(). Only those that are watched. */
uint64_t handled_signals(uint64_t since);

#endif
