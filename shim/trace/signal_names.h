/* Signals by their names, and sets of them: bit N - 1 for signal N. */
#ifndef SIGNAL_NAMES_H
#define SIGNAL_NAMES_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define SIGNAL_MAX 64 /* the kernel's _NSIG on every machine but mips */

static inline uint64_t signal_bit(int signal)
{
    return signal >= 1 && signal <= SIGNAL_MAX ? UINT64_C(1) << (signal - 1) : 0;
}

/* Those that a program's own instructions raise. */
static inline uint64_t signals_of_faults(void)
{
    return signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGFPE) | signal_bit(SIGILL) | signal_bit(SIGTRAP) |
           signal_bit(SIGSYS);
}

/* Those by which C programs stop or time out a receive: rabbitmq-c #385, sockpp #24, Stevens' alarm, netperf. */
static inline uint64_t signals_of_intent(void)
{
    return signal_bit(SIGINT) | signal_bit(SIGTERM) | signal_bit(SIGHUP) | signal_bit(SIGQUIT) | signal_bit(SIGALRM);
}

/* The name as kill -l has it: "SIGALRM", "SIGRTMIN+3"; "SIG32" for one without. */
#define SIGNAL_NAME_MAX 16
void signal_name(int signal, char name[SIGNAL_NAME_MAX]);

/* Read a list such as `TERM,SIGINT,RTMIN+2,12` into a set; an empty text is an empty set. Refused are what no program
 * can handle, KILL and STOP, and what is libc's own, 32 and 33. On failure *set is as it was. */
bool signal_names_parse(const char *list, uint64_t *set);

#endif
