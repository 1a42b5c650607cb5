/* A trace with a name can be truncated by anyone who may write it; the next store is then a SIGBUS, and would end the
 * program. The guard turns that into an end of the tracing. */
#ifndef GUARD_H
#define GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* Guard a map: by a handler of its own where SIGBUS is at its default, by the program's handlers' wrappers (handlers.c)
 * where it has some. Where it is ignored or blocked the kernel asks nobody. Once, by the constructor. */
void guard_start(void *base, size_t size);

/* Whether handlers of this signal have to ask guard_takes() first. */
bool guard_watches(int signal);

/* Whether this was a fault in the map, which has none any more: not a word of it to the program. In the handler. */
bool guard_takes(int signal, const siginfo_t *info);

/* The guard stands for the default action, and the program sees that: what is to be installed instead of `action`, and
 * whether `old` was the guard, which is then made the default. */
const struct sigaction *guard_instead(int signal, const struct sigaction *action);
bool guard_hides(struct sigaction *old);

#endif
