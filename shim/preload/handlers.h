/* The program's signal handlers, as it installs them. Which signal interrupted a receive the kernel does not tell;
 * where the policy has to know, each handler is wrapped in a function that notes it (handled.c) and goes on in the
 * handler itself. The program never sees the wrapper: what it reads back is its own handler with its own flags. */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "settings.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* For the constructor: wrap what has to be from now on; with `may_ask` also what another library's constructor has
 * installed, which takes system calls. */
void handlers_start(enum eintr_policy policy, uint64_t pass, bool may_ask);

/* What sigaction, signal, sysv_signal, sigset and siginterrupt do (sigaction(2), signal(3), sysv_signal(3), sigset(3),
 * siginterrupt(3)): the same results, errors and system calls. Safe in a signal handler, and in a child of vfork. */
int handlers_sigaction(int signal, const struct sigaction *action, struct sigaction *old);
sighandler_t handlers_signal(int signal, sighandler_t handler);
sighandler_t handlers_sysv_signal(int signal, sighandler_t handler);
sighandler_t handlers_sigset(int signal, sighandler_t disposition);
int handlers_siginterrupt(int signal, int interrupt);

/* Whether a handler had to be installed without a wrapper: there are 128 of them. */
bool handlers_used_up(void);

/* Which signals may have interrupted a receive of this thread without being seen: those that have a handler which is
 * not wrapped. With `timed` also those with SA_RESTART, which interrupt where SO_RCVTIMEO is set. With `may_ask` less
 * what the thread blocks, and with handlers that were installed past libc: system calls. A set as of signal_bit();
 * *intended is the part of it that the policy `intent` lets pass. */
uint64_t handlers_candidates(bool timed, bool may_ask, uint64_t *intended);

#endif
