/* The calls by which the process makes threads and children, puts itself under a filter, and ends. */
#include "exports.h"

#include "lifecycle.h"
#include "next.h"
#include "origin.h"
#include "query.h"
#include "thread.h"
#include "vfork.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument)
{
    return origin_create_thread(thread, attributes, function, argument);
}

/* Up to four arguments of any kind follow, each a word; read as longs they are passed on whole, as libc's own prctl
 * does it. */
#define EXPORT_PRCTL(name)                                                                                             \
    EXPORT int name(int option, ...)                                                                                   \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, option);                                                                                   \
        unsigned long a = va_arg(arguments, unsigned long), b = va_arg(arguments, unsigned long);                      \
        unsigned long c = va_arg(arguments, unsigned long), d = va_arg(arguments, unsigned long);                      \
        va_end(arguments);                                                                                             \
        query_system_call(SYS_prctl, option, (long)a, (long)b);                                                        \
        next_##name##_function *next = next_##name();                                                                  \
        return next != NULL ? next(option, a, b, c, d) : (int)syscall(SYS_prctl, option, a, b, c, d);                  \
    }
EXPORT_PRCTL(prctl)
#if __TIMESIZE == 32 /* of programs with 64-bit times: next.h */
int __prctl_time64(int option, ...);
EXPORT_PRCTL(__prctl_time64)
#endif

/* A function that clone is to call, in a child that has its parent's memory while the parent waits. */
struct beginning {
    int (*function)(void *);
    void *argument;
};

static int begin_child(void *beginning)
{
    struct beginning own = *(const struct beginning *)beginning;
    thread_self.vfork_depth++;
    return own.function(own.argument);
}

/* Up to three pointers follow; those that are not there are read and passed on as libc's own clone does it. What is
 * vfork but for its stack (Qt starts programs so) is noted as vfork is. */
EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
    va_list arguments;
    va_start(arguments, argument);
    void *parent_tid = va_arg(arguments, void *), *tls = va_arg(arguments, void *);
    void *child_tid = va_arg(arguments, void *);
    va_end(arguments);
    next_clone_function *next = next_clone();
    if (next == NULL) {
        errno = EAGAIN;
        return -1;
    }
    const int as_vfork = CLONE_VM | CLONE_VFORK;
    if ((flags & (as_vfork | CLONE_THREAD | CLONE_SETTLS)) != as_vfork || function == NULL)
        return next(function, stack, flags, argument, parent_tid, tls, child_tid);
    struct beginning beginning = {function, argument};
    vfork_begins();
    uint64_t depth = thread_self.vfork_depth;
    int pid = next(begin_child, stack, flags, &beginning, parent_tid, tls, child_tid);
    thread_self.vfork_depth = depth;
    return pid;
}

EXPORT void _exit(int status)
{
    lifecycle_exiting(status);
    next__exit_function *next = next__exit();
    if (next != NULL)
        next(status);
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT void _Exit(int status)
{
    _exit(status);
}
