#include "policy.h"

#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <signal.h>

enum { RESTARTS = 1, INTERRUPTING = 2, KICK = 4 };

/* SEMANTICS.md's table, a row each: the signal, how it came, and who lets it pass. */
static const struct {
    int signal, how;
    bool intent, restart, listed; /* listed: in TERM, USR2 */
} rows[] = {
    {SIGINT, 0, true, true, false},
    {SIGTERM, 0, true, true, true},
    {SIGHUP, 0, true, true, false},
    {SIGQUIT, 0, true, true, false},
    {SIGALRM, 0, true, true, false},
    {SIGTERM, RESTARTS, false, false, true},
    {SIGALRM, RESTARTS, false, false, false},
    {SIGUSR1, 0, false, true, false},
    {SIGUSR1, RESTARTS, false, false, false},
    {SIGUSR1, INTERRUPTING, true, true, false},
    {SIGUSR1, KICK, true, true, false},
    {SIGUSR1, KICK | RESTARTS, false, false, false},
    /* sigaction with SA_RESTART after siginterrupt */
    {SIGUSR1, INTERRUPTING | RESTARTS, false, false, false},
    {SIGUSR2, RESTARTS, false, false, true},
    {SIGCHLD, 0, false, true, false},
    {SIGSEGV, 0, false, true, false},
    {64, 0, false, true, false},
    {64, KICK, true, true, false},
};
#define ROWS (sizeof rows / sizeof rows[0])

Test(policy, passes)
{
    const uint64_t list = signal_bit(SIGTERM) | signal_bit(SIGUSR2);
    for (size_t i = 0; i < ROWS; i++) {
        struct handled_signal handled = {rows[i].signal, (rows[i].how & RESTARTS) != 0,
                                         (rows[i].how & INTERRUPTING) != 0, (rows[i].how & KICK) != 0};
        cr_expect_not(policy_passes(EINTR_ALWAYS, 0, &handled), "row %zu", i);
        cr_expect(policy_passes(EINTR_NEVER, 0, &handled), "row %zu", i);
        cr_expect_eq(policy_passes(EINTR_INTENT, 0, &handled), rows[i].intent, "row %zu", i);
        cr_expect_eq(policy_passes(EINTR_RESTART, 0, &handled), rows[i].restart, "row %zu", i);
        cr_expect_eq(policy_passes(EINTR_ALWAYS, list, &handled), rows[i].listed, "row %zu", i);
        cr_expect_eq(policy_passes(EINTR_INTENT, list, &handled), rows[i].intent || rows[i].listed, "row %zu", i);
    }
}

/* Whatever can pass is watched; where nothing can, nothing is. */
Test(policy, watches)
{
    for (int signal = 1; signal <= SIGNAL_MAX; signal++) {
        cr_expect_not(policy_watches(EINTR_ALWAYS, 0, signal));
        cr_expect_not(policy_watches(EINTR_NEVER, UINT64_MAX, signal));
        bool fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
                     signal == SIGTRAP || signal == SIGSYS;
        cr_expect_eq(policy_watches(EINTR_INTENT, 0, signal), !fault, "signal %d", signal);
        cr_expect_eq(policy_watches(EINTR_RESTART, 0, signal), !fault, "signal %d", signal);
        cr_expect_eq(policy_watches(EINTR_ALWAYS, signal_bit(SIGSEGV), signal), signal == SIGSEGV, "signal %d", signal);
        cr_expect(policy_watches(EINTR_INTENT, UINT64_MAX, signal), "signal %d", signal);
    }
    cr_expect_not(policy_watches(EINTR_INTENT, 0, 0));
    cr_expect_not(policy_watches(EINTR_INTENT, UINT64_MAX, 65));
    cr_expect_not(policy_watches(EINTR_RESTART, UINT64_MAX, -1));
}
