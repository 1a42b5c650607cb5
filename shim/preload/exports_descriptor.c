/* The calls that duplicate a descriptor, close it, or watch it by epoll: noted, and passed on. A NULL from next_*() is
 * a call out of dlsym itself (next.h): the kernel is entered directly. */
#include "exports.h"

#include "inject_actions.h"
#include "kernel.h"
#include "lifecycle.h"
#include "next.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORT int dup(int fd)
{
    next_dup_function *next = next_dup();
    int copy = next != NULL ? next(fd) : (int)syscall(SYS_dup, fd);
    if (copy >= 0)
        lifecycle_duplicated(fd, copy, 0);
    return copy;
}

EXPORT int dup2(int fd, int copy)
{
    uint64_t replaced = lifecycle_word(copy);
    next_dup2_function *next = next_dup2();
    int result = next != NULL ? next(fd, copy) : (int)syscall(SYS_dup3, fd, copy, 0);
    if (result >= 0)
        lifecycle_duplicated(fd, copy, replaced);
    return result;
}

EXPORT int dup3(int fd, int copy, int flags)
{
    uint64_t replaced = lifecycle_word(copy);
    next_dup3_function *next = next_dup3();
    int result = next != NULL ? next(fd, copy, flags) : (int)syscall(SYS_dup3, fd, copy, flags);
    if (result >= 0)
        lifecycle_duplicated(fd, copy, replaced);
    return result;
}

EXPORT int close(int fd)
{
    lifecycle_closing(fd);
    next_close_function *next = next_close();
    return next != NULL ? next(fd) : (int)syscall(SYS_close, fd);
}

/* Within libc it is closed past our close: what was noted of a socket would then be believed of a file that gets its
 * number, and is read. */
static void note_closing_stream(FILE *stream)
{
    const int error = errno;
    int fd = fileno(stream); /* -1, with errno set, of one in memory */
    errno = error;
    lifecycle_closing(fd);
}

EXPORT int fclose(FILE *stream)
{
    note_closing_stream(stream);
    next_fclose_function *next = next_fclose();
    if (next != NULL)
        return next(stream);
    errno = EAGAIN;
    return EOF;
}

/* The stream is closed also where it cannot be opened anew. */
#define EXPORT_FREOPEN(name)                                                                                           \
    EXPORT FILE *name(const char *path, const char *mode, FILE *stream)                                                \
    {                                                                                                                  \
        note_closing_stream(stream);                                                                                   \
        next_##name##_function *next = next_##name();                                                                  \
        if (next != NULL)                                                                                              \
            return next(path, mode, stream);                                                                           \
        errno = EAGAIN;                                                                                                \
        return NULL;                                                                                                   \
    }
EXPORT_FREOPEN(freopen)
EXPORT_FREOPEN(freopen64) /* what it is called in programs built with 64-bit file offsets */

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
    /* Of CLOSE_RANGE_CLOEXEC nothing is closed; of a flag unknown here neither, or nobody knows what. */
    if (first <= last && (flags & ~(int)CLOSE_RANGE_UNSHARE) == 0)
        lifecycle_closing_range(first, last);
    next_close_range_function *next = next_close_range();
    return next != NULL ? next(first, last, flags) : (int)syscall(SYS_close_range, first, last, flags);
}

EXPORT void closefrom(int first)
{
    unsigned int lowest = first > 0 ? (unsigned int)first : 0;
    lifecycle_closing_range(lowest, ~0U);
    next_closefrom_function *next = next_closefrom();
    if (next != NULL)
        next(first);
    else
        syscall(SYS_close_range, lowest, ~0U, 0);
}

static int note_fcntl(int fd, int command, int result)
{
    if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        lifecycle_duplicated(fd, result, 0);
    return result;
}

/* The third argument is an int, a pointer or missing; read as a pointer it is passed on whole in each case, as libc's
 * own fcntl does it. */
#define EXPORT_FCNTL(name, find_next)                                                                                  \
    EXPORT int name(int fd, int command, ...)                                                                          \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, command);                                                                                  \
        void *argument = va_arg(arguments, void *);                                                                    \
        va_end(arguments);                                                                                             \
        next_##name##_function *next = find_next;                                                                      \
        int result = next != NULL ? next(fd, command, argument) : (int)syscall(KERNEL_FCNTL, fd, command, argument);   \
        return note_fcntl(fd, command, result);                                                                        \
    }
#ifdef __i386__
#define IS_OFD_LOCK(command) ((command) == F_OFD_GETLK || (command) == F_OFD_SETLK || (command) == F_OFD_SETLKW)
EXPORT_FCNTL(fcntl, IS_OFD_LOCK(command) ? next_fcntl_of(__builtin_return_address(0)) : next_fcntl())
#else
EXPORT_FCNTL(fcntl, next_fcntl())
#endif
EXPORT_FCNTL(fcntl64, next_fcntl64()) /* what it is called in programs built with 64-bit file offsets */
#if __TIMESIZE == 32                  /* of programs with 64-bit times: next.h */
int __fcntl_time64(int fd, int command, ...);
EXPORT_FCNTL(__fcntl_time64, next___fcntl_time64())
#endif

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    next_epoll_ctl_function *next = next_epoll_ctl();
    int result =
        next != NULL ? next(epoll, operation, fd, event) : (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    if (result == 0 && operation != EPOLL_CTL_DEL && (event->events & EPOLLET) != 0)
        inject_edges_awaited();
    return result;
}
