/* For victims that show all a program can see of its signal handlers, as text that must be the same with whatever is
 * preloaded: no addresses, pids or times. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "victim.h"

/* A handler's name, given by the victim; NULL for one it does not know. */
static const char *handler_name(const void *handler);

static inline const char *name_of(const struct sigaction *action)
{
    if (action->sa_handler == SIG_DFL)
        return "default";
    if (action->sa_handler == SIG_IGN)
        return "ignore";
    if (action->sa_handler == SIG_HOLD)
        return "hold";
    if (action->sa_handler == SIG_ERR)
        return "error";
    const char *name = handler_name((const void *)(uintptr_t)action->sa_handler);
    return name != NULL ? name : "a stranger";
}

static inline const char *name_of_handler(sighandler_t handler)
{
    return name_of(&(const struct sigaction){.sa_handler = handler});
}

/* The 64 signals that the kernel knows; a sigset_t has room for 1024. */
static inline unsigned long long bits_of(const sigset_t *set)
{
    unsigned long long bits;
    memcpy(&bits, set, sizeof bits);
    return bits;
}

static inline unsigned long long blocked_now(void)
{
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    return bits_of(&set);
}

/* What sigaction wrote of an action that was filled with 0xaa before. Behind the kernel's part of a mask glibc copies
 * what its stack held, which on i386 differs from call to call. */
static inline void print_action(const char *what, const struct sigaction *action)
{
    unsigned char untouched[sizeof action->sa_mask - 8];
    memset(untouched, 0xaa, sizeof untouched);
    bool kept = sizeof(long) == 4 || memcmp((const char *)&action->sa_mask + 8, untouched, sizeof untouched) == 0;
    printf("%s: %s, flags %#x, mask %#llx, rest %s, restorer %s\n", what, name_of(action), (unsigned)action->sa_flags,
           bits_of(&action->sa_mask), kept ? "kept" : "written", action->sa_restorer != NULL ? "set" : "none");
}

static inline void print_disposition(const char *what, int signal)
{
    struct sigaction action;
    memset(&action, 0xaa, sizeof action);
    errno = 0;
    int result = sigaction(signal, NULL, &action);
    if (result != 0)
        printf("%s: signal %d: %d, errno %d\n", what, signal, result, errno);
    else
        print_action(what, &action);
}

/* Of all that the kernel knows. */
static inline void print_dispositions(const char *who)
{
    for (int signal = 1; signal <= 64; signal++)
        print_disposition(who, signal);
}

#endif
