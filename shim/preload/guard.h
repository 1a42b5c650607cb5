/* A trace with a name can be truncated by anyone who may write it; the next store is then a SIGBUS, and would end the
 * program. The guard turns that into an end of the tracing. */
#ifndef GUARD_H
#define GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* Guard a map, where SIGBUS is at its default; a program that already handles it is left alone. Once, by the
 * constructor: a handler that the program installs later replaces this one. */
void guard_start(void *base, size_t size);

/* The guard stands for the default action, and the program sees that: what is to be installed instead of `action`, and
 * whether `old` was the guard, which is then made the default. */
const struct sigaction *guard_instead(int signal, const struct sigaction *action);
bool guard_hides(struct sigaction *old);

#endif
