/* A trace with a name can be truncated by anyone who may write it; the next store is then a SIGBUS, and would end the
 * program. The guard turns that into an end of the tracing. */
#ifndef GUARD_H
#define GUARD_H

#include <stddef.h>

/* Guard a map, where SIGBUS is at its default; a program that already handles it is left alone. Once, by the
 * constructor: a handler that the program installs later replaces this one. */
void guard_start(void *base, size_t size);

#endif
