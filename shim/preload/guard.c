#include "guard.h"

#include "next.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

static void *guarded;
static size_t guarded_size;

/* Past our own definition, which would take it for the program's. */
static int change(const struct sigaction *action, struct sigaction *old)
{
    next_sigaction_function *next = next_sigaction();
    return next != NULL ? next(SIGBUS, action, old) : -1;
}

bool guard_watches(int signal)
{
    return signal == SIGBUS && guarded != NULL;
}

/* By kill or sigqueue: si_addr then is something else. */
static bool is_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

bool guard_takes(int signal, const siginfo_t *info)
{
    if (!guard_watches(signal) || is_sent(info) || (uintptr_t)info->si_addr - (uintptr_t)guarded >= guarded_size)
        return false;
    int error = errno;
    /* Zeros in place of the whole trace, in one step: its control page now reads "tracing off", and a store that is
     * under way in any thread goes on into them. */
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    bool taken = mmap(guarded, guarded_size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
    errno = error;
    return taken;
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (guard_takes(signal, info))
        return;
    int error = errno;
    /* Not ours: as if there had been no handler. A fault happens again on return; a sent signal must be sent again. */
    struct sigaction standard = {.sa_handler = SIG_DFL};
    change(&standard, NULL);
    if (is_sent(info))
        raise(signal);
    errno = error;
}

/* Its action; all zero while there is nothing to guard. */
static struct sigaction guard;

void guard_start(void *base, size_t size)
{
    struct sigaction now;
    guarded = base;
    guarded_size = size;
    guard.sa_sigaction = on_sigbus;
    guard.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&guard.sa_mask);
    if (change(NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        change(&guard, NULL);
}

const struct sigaction *guard_instead(int signal, const struct sigaction *action)
{
    bool guards = signal == SIGBUS && guarded != NULL && action != NULL && action->sa_handler == SIG_DFL;
    return guards ? &guard : action;
}

bool guard_hides(struct sigaction *old)
{
    if (old->sa_sigaction != on_sigbus)
        return false;
    *old = (struct sigaction){.sa_handler = SIG_DFL};
    return true;
}
