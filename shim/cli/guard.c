#include "guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

static sigjmp_buf escape;
static const struct trace *guarded;
static struct sigaction before;

static void on_sigbus(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t address = (uintptr_t)info->si_addr, base = (uintptr_t)guarded->base;
    if (address >= base && address - base < guarded->layout.size)
        siglongjmp(escape, 1);
    /* Something else is wrong: let it happen again, as if nothing guarded it. */
    sigaction(signal_number, &before, NULL);
}

bool guard_run(const struct trace *trace, void (*work)(void *context), void *context)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    guarded = trace;
    sigaction(SIGBUS, &action, &before);
    volatile bool whole = false;
    if (sigsetjmp(escape, 1) == 0) {
        work(context);
        whole = true;
    }
    sigaction(SIGBUS, &before, NULL);
    return whole;
}
