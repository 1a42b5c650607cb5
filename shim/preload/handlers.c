#include "handlers.h"

#include "guard.h"
#include "handled.h"
#include "next.h"
#include "policy.h"
#include "vfork.h"

#include "trace/signal_names.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

/* ---- wrappers ----
 *
 * Each pair of a handler and its flags gets a wrapper of its own, once and for good: the kernel's table of dispositions
 * stays the only one there is. What is read back from it tells the handler, whoever changed it last: another thread, a
 * handler, SA_RESETHAND, system(3), a child of vfork, which shares our memory but not that table. Nothing here has to
 * be kept in step with it, so there is nothing to lock. */

typedef void handler_function(int signal, siginfo_t *info, void *context);

/* handler << 2 | flags; 0: free. Relaxed: an entry stands for itself, and the system call that installs its wrapper
 * comes before any run of it. */
static _Atomic uint64_t entries[128];
#define ENTRIES ((int)(sizeof entries / sizeof entries[0]))

enum { ENTRY_SIGINFO = 1, ENTRY_RESTART = 2 };

static struct {
    enum eintr_policy policy;
    uint64_t pass;
    bool wraps; /* anything at all */
} rules = {.policy = EINTR_ALWAYS};

/* As the program has asked for with siginterrupt: libc keeps the same set for its own signal(). Relaxed, as the other
 * sets of signals here: a bit stands for itself, and the program orders its calls. */
static _Atomic uint64_t interrupting;

static bool is_interrupting(int signal)
{
    return (atomic_load_explicit(&interrupting, memory_order_relaxed) & signal_bit(signal)) != 0;
}

static handler_function *handler_of(uint64_t entry)
{
    return (handler_function *)(uintptr_t)(entry >> 2);
}

__attribute__((noinline)) static void note_run(int signal, const siginfo_t *info, uint64_t entry)
{
    struct handled_signal handled = {.signal = signal,
                                     .restarts = (entry & ENTRY_RESTART) != 0,
                                     .interrupting = is_interrupting(signal),
                                     .kick = info->si_code == SI_TKILL};
    handled_begins(signal, handled.restarts, policy_passes(rules.policy, rules.pass, &handled));
}

static void put_back(int signal, int index);

/* The handler is jumped to, not called: on the stack, and in a debugger, it stands alone. With all three arguments,
 * whatever its flags say: so the kernel does it, but for i386. */
__attribute__((noinline)) static void run(int signal, siginfo_t *info, void *context, int index)
{
    uint64_t entry = atomic_load_explicit(&entries[index], memory_order_relaxed);
    if (guard_takes(signal, info)) {
        put_back(signal, index);
        return;
    }
    if (policy_watches(rules.policy, rules.pass, signal))
        note_run(signal, info, entry);
    handler_of(entry)(signal, info, context);
}

#define WRAPPER(index)                                                                                                 \
    static void wrapper_##index(int signal, siginfo_t *info, void *context)                                            \
    {                                                                                                                  \
        run(signal, info, context, 0x##index);                                                                         \
    }
#define SIXTEEN(X, high)                                                                                               \
    X(high##0)                                                                                                         \
    X(high##1)                                                                                                         \
    X(high##2)                                                                                                         \
    X(high##3)                                                                                                         \
    X(high##4)                                                                                                         \
    X(high##5)                                                                                                         \
    X(high##6) X(high##7) X(high##8) X(high##9) X(high##a) X(high##b) X(high##c) X(high##d) X(high##e) X(high##f)
#define ALL(X)                                                                                                         \
    SIXTEEN(X, 0) SIXTEEN(X, 1) SIXTEEN(X, 2) SIXTEEN(X, 3) SIXTEEN(X, 4) SIXTEEN(X, 5) SIXTEEN(X, 6) SIXTEEN(X, 7)
ALL(WRAPPER)
#define WRAPPER_NAME(index) wrapper_##index,
static handler_function *const wrappers[ENTRIES] = {ALL(WRAPPER_NAME)};

/* The index of a wrapper, or -1. */
static int find_wrapper(handler_function *function)
{
    for (int i = 0; i < ENTRIES; i++)
        if (wrappers[i] == function)
            return i;
    return -1;
}

/* A handler that should have been wrapped was not: nobody knows any more what an interruption by nothing that was seen
 * may have been. */
static _Atomic bool used_up;

bool handlers_used_up(void)
{
    return atomic_load_explicit(&used_up, memory_order_relaxed);
}

/* The wrapper of a handler with these flags; NULL once a program has used them up, which makes handlers as it runs. Its
 * handlers are then installed as they are. */
static handler_function *wrapper_of(handler_function *handler, int flags)
{
    uint64_t entry = (uint64_t)(uintptr_t)handler << 2 | ((flags & SA_SIGINFO) != 0 ? ENTRY_SIGINFO : 0U) |
                     ((flags & SA_RESTART) != 0 ? ENTRY_RESTART : 0U);
    if (handler_of(entry) != handler)
        return NULL;
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t found = atomic_load_explicit(&entries[i], memory_order_relaxed);
        if (found == 0 && atomic_compare_exchange_strong_explicit(&entries[i], &found, entry, memory_order_relaxed,
                                                                  memory_order_relaxed))
            return wrappers[i];
        if (found == entry)
            return wrappers[i];
    }
    return NULL;
}

/* SA_RESETHAND has taken the wrapper away, for what was no signal to the program. */
__attribute__((noinline)) static void put_back(int signal, int index)
{
    struct sigaction now;
    next_sigaction_function *next = next_sigaction();
    int error = errno;
    if (next != NULL && next(signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
        (now.sa_flags & (int)SA_RESETHAND) != 0) {
        now.sa_sigaction = wrappers[index];
        next(signal, &now, NULL);
    }
    errno = error;
}

/* Whether handlers of this signal get a wrapper. */
static bool wraps(int signal)
{
    return policy_watches(rules.policy, rules.pass, signal) || guard_watches(signal);
}

static bool is_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN && action->sa_handler != SIG_ERR &&
           action->sa_handler != SIG_HOLD;
}

/* The action with its handler wrapped, where it has to be. SA_SIGINFO brings si_code. A program that got hold of a
 * wrapper, past libc, may install it again. */
static const struct sigaction *wrap(int signal, const struct sigaction *action, struct sigaction *wrapped)
{
    if (action == NULL || !wraps(signal) || !is_handler(action) || find_wrapper(action->sa_sigaction) >= 0)
        return action;
    handler_function *wrapper = wrapper_of(action->sa_sigaction, action->sa_flags);
    if (wrapper == NULL) {
        atomic_store_explicit(&used_up, true, memory_order_relaxed);
        return action;
    }
    *wrapped = *action;
    wrapped->sa_sigaction = wrapper;
    wrapped->sa_flags |= SA_SIGINFO;
    return wrapped;
}

/* Signals whose action got SA_SIGINFO from us. It stays in the kernel's flags when SA_RESETHAND takes the wrapper away.
 */
static _Atomic uint64_t with_our_siginfo;

/* The action as the program gave it. */
static void unwrap(int signal, struct sigaction *action)
{
    bool reset = action->sa_handler == SIG_DFL && (action->sa_flags & (int)SA_RESETHAND) != 0;
    int index = is_handler(action) ? find_wrapper(action->sa_sigaction) : -1;
    uint64_t entry = index >= 0 ? atomic_load_explicit(&entries[index], memory_order_relaxed) : 0;
    if (index >= 0)
        action->sa_sigaction = handler_of(entry);
    bool ours =
        index >= 0 ? (entry & ENTRY_SIGINFO) == 0
                   : reset && (atomic_load_explicit(&with_our_siginfo, memory_order_relaxed) & signal_bit(signal)) != 0;
    if (ours)
        action->sa_flags &= ~SA_SIGINFO;
}

/* ---- candidates ---- */

/* Signals whose handlers are not wrapped, and of these the ones with SA_RESTART, as far as was seen. A handler that
 * SA_RESETHAND has removed stays noted: it may be the one that ran. */
static _Atomic uint64_t unwatched, restarting;

static void note_bit(_Atomic uint64_t *set, int signal, bool value)
{
    if (value)
        atomic_fetch_or_explicit(set, signal_bit(signal), memory_order_relaxed);
    else
        atomic_fetch_and_explicit(set, ~signal_bit(signal), memory_order_relaxed);
}

/* What is noted of an action. */
struct noted {
    bool siginfo_is_ours, restarts, unwatched;
};

static void note(int signal, struct noted noted)
{
    note_bit(&with_our_siginfo, signal, noted.siginfo_is_ours);
    note_bit(&restarting, signal, noted.restarts);
    note_bit(&unwatched, signal, noted.unwatched);
}

/* ---- libc's calls ---- */

int handlers_sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    next_sigaction_function *next = next_sigaction();
    if (next == NULL) { /* inside dlsym: a malloc of the program's that installs handlers */
        errno = EAGAIN;
        return -1;
    }
    struct sigaction wrapped;
    const struct sigaction *installed = wrap(signal, action, &wrapped);
    struct noted noted = {0};
    if (action != NULL && signal_bit(signal) != 0) /* before the call: old may be the same memory */
        noted = (struct noted){.siginfo_is_ours = action->sa_flags != installed->sa_flags,
                               .restarts = (action->sa_flags & SA_RESTART) != 0,
                               .unwatched = is_handler(action) && action == installed};
    int result = next(signal, guard_instead(signal, installed), old);
    if (result != 0)
        return result;
    if (old != NULL && !guard_hides(old) && (rules.wraps || guard_watches(signal)))
        unwrap(signal, old);
    if (action != NULL && !vfork_in_child())
        note(signal, noted);
    return result;
}

static bool may_be_installed(int signal, sighandler_t handler)
{
    if (handler != SIG_ERR && signal_bit(signal) != 0)
        return true;
    errno = EINVAL;
    return false;
}

/* Out of line: two actions would be too much for one frame. */
__attribute__((noinline)) static sighandler_t install(int signal, const struct sigaction *action)
{
    struct sigaction old;
    return handlers_sigaction(signal, action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

sighandler_t handlers_signal(int signal, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = is_interrupting(signal) ? 0 : SA_RESTART};
    if (!may_be_installed(signal, handler))
        return SIG_ERR;
    sigaddset(&action.sa_mask, signal);
    return install(signal, &action);
}

sighandler_t handlers_sysv_signal(int signal, sighandler_t handler)
{
    const struct sigaction action = {.sa_handler = handler,
                                     .sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_INTERRUPT)};
    return may_be_installed(signal, handler) ? install(signal, &action) : SIG_ERR;
}

sighandler_t handlers_sigset(int signal, sighandler_t disposition)
{
    const struct sigaction action = {.sa_handler = disposition};
    sigset_t one, before;
    sighandler_t old;
    sigemptyset(&one);
    if (sigaddset(&one, signal) != 0) /* EINVAL */
        return SIG_ERR;
    if (disposition == SIG_HOLD) {
        if (sigprocmask(SIG_BLOCK, &one, &before) != 0)
            return SIG_ERR;
        return sigismember(&before, signal) == 1 ? SIG_HOLD : install(signal, NULL);
    }
    old = install(signal, &action);
    if (old == SIG_ERR || sigprocmask(SIG_UNBLOCK, &one, &before) != 0)
        return SIG_ERR;
    return sigismember(&before, signal) == 1 ? SIG_HOLD : old;
}

int handlers_siginterrupt(int signal, int interrupt)
{
    struct sigaction action;
    if (handlers_sigaction(signal, NULL, &action) != 0)
        return -1;
    note_bit(&interrupting, signal, interrupt != 0);
    if (interrupt != 0)
        action.sa_flags &= ~SA_RESTART;
    else
        action.sa_flags |= SA_RESTART;
    return handlers_sigaction(signal, &action, NULL);
}

/* ---- the rest ---- */

void handlers_start(enum eintr_policy policy, uint64_t pass, bool may_ask)
{
    rules.policy = policy;
    rules.pass = pass;
    for (int signal = 1; signal <= SIGNAL_MAX && !rules.wraps; signal++)
        rules.wraps = policy_watches(policy, pass, signal);
    struct sigaction action;
    for (int signal = 1; signal <= SIGNAL_MAX && may_ask; signal++)
        if (wraps(signal) && handlers_sigaction(signal, NULL, &action) == 0 && is_handler(&action))
            handlers_sigaction(signal, &action, NULL);
}

/* Handlers that were installed past libc's functions, or before ours were there. Once: it takes 64 calls. */
static void look_for_unseen(void)
{
    static atomic_flag looked = ATOMIC_FLAG_INIT;
    next_sigaction_function *next = next_sigaction();
    if (next == NULL || vfork_in_child() || atomic_flag_test_and_set_explicit(&looked, memory_order_relaxed))
        return;
    struct sigaction action;
    for (int signal = 1; signal <= SIGNAL_MAX; signal++)
        if (next(signal, NULL, &action) == 0 && is_handler(&action) && find_wrapper(action.sa_sigaction) < 0)
            note(signal, (struct noted){.restarts = (action.sa_flags & SA_RESTART) != 0, .unwatched = true});
}

uint64_t handlers_candidates(bool timed, bool may_ask, uint64_t *intended)
{
    int error = errno;
    sigset_t blocked;
    sigemptyset(&blocked);
    if (may_ask) {
        look_for_unseen();
        sigprocmask(SIG_BLOCK, NULL, &blocked);
    }
    uint64_t handlers = atomic_load_explicit(&unwatched, memory_order_relaxed);
    uint64_t restarts = atomic_load_explicit(&restarting, memory_order_relaxed), set = 0;
    *intended = 0;
    for (int signal = 1; signal <= SIGNAL_MAX; signal++) {
        struct handled_signal handled = {.signal = signal,
                                         .restarts = (restarts & signal_bit(signal)) != 0,
                                         .interrupting = is_interrupting(signal)};
        /* Neither those that instructions raise, for which the trace's own guard has a handler. */
        if ((handlers & signal_bit(signal)) == 0 || !policy_watches(EINTR_INTENT, 0, signal) ||
            sigismember(&blocked, signal) == 1 || (handled.restarts && !timed))
            continue;
        set |= signal_bit(signal);
        if (policy_passes(EINTR_INTENT, 0, &handled))
            *intended |= signal_bit(signal);
    }
    errno = error;
    return set;
}
