/* The calls that install signal handlers, and their other names. */
#include "exports.h"

#include "handlers.h"

#include <signal.h>

EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return handlers_sigaction(signal, action, old);
}

EXPORT sighandler_t signal(int signal, sighandler_t handler)
{
    return handlers_signal(signal, handler);
}

EXPORT sighandler_t sysv_signal(int signal, sighandler_t handler)
{
    return handlers_sysv_signal(signal, handler);
}

EXPORT sighandler_t sigset(int signal, sighandler_t disposition)
{
    return handlers_sigset(signal, disposition);
}

EXPORT int siginterrupt(int signal, int interrupt)
{
    return handlers_siginterrupt(signal, interrupt);
}

/* Their other names. __sysv_signal is what signal() is in programs built for System V's meaning of it; libc's headers
 * declare __sigaction nowhere, and bsd_signal for old standards only. */
int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);
sighandler_t bsd_signal(int signal, sighandler_t handler);

EXPORT int __sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return handlers_sigaction(signal, action, old);
}

EXPORT sighandler_t ssignal(int signal, sighandler_t handler)
{
    return handlers_signal(signal, handler);
}

EXPORT sighandler_t bsd_signal(int signal, sighandler_t handler)
{
    return handlers_signal(signal, handler);
}

EXPORT sighandler_t __sysv_signal(int signal, sighandler_t handler)
{
    return handlers_sysv_signal(signal, handler);
}
