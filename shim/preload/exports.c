/* The interposed symbols, and nothing else. exports.map lists them again, for the linker. */
#include "handlers.h"
#include "inject.h"
#include "kernel.h"
#include "lifecycle.h"
#include "next.h"
#include "origin.h"
#include "plain.h"
#include "query.h"
#include "receive.h"
#include "returns.h"
#include "vfork.h"

#include <asm/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* libc's headers declare an address as a union of pointers to every kind of sockaddr, passed as a pointer is. */
#define ADDRESS(argument) ((argument).__sockaddr__)

/* ---- receives ---- */

/* A plain receive (plain.h) goes through these with its arguments in registers, and all that it needs is made part of
 * each: a step between is another line of code that the system call has left cold. */
#define EXPORT_RECEIVE EXPORT RETURNS_AFTER_SYSTEM_CALL __attribute__((flatten))

EXPORT_RECEIVE ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    next_recv_function *next = next_recv();
    struct receive_begun begun;
    const bool plain = next != NULL && plain_begins(RECVSHIM_CALL_RECV, fd, flags, &begun);
    if (__builtin_expect(plain, 1)) {
        begun.result = next(fd, buffer, length, flags);
        if (__builtin_expect(plain_ends(&begun), 1))
            return plain_recorded(RECVSHIM_CALL_RECV, fd, flags, length, &begun);
    }
    struct call call = {.which = RECVSHIM_CALL_RECV,
                        .form = RECVSHIM_CALL_RECV,
                        .fd = fd,
                        .flags = flags,
                        .buffer = buffer,
                        .length = length};
    return plain ? receive_concluded(&call, &begun) : receive(&call);
}

EXPORT_RECEIVE ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, __SOCKADDR_ARG address,
                                socklen_t *address_length) /* NOLINT(readability-non-const-parameter): it is, by the
                                                              kernel */
{
    next_recvfrom_function *next = next_recvfrom();
    struct receive_begun begun;
    const bool plain = next != NULL && plain_begins(RECVSHIM_CALL_RECVFROM, fd, flags, &begun);
    if (__builtin_expect(plain, 1)) {
        if (ADDRESS(address) != NULL && call_may_follow(address_length))
            begun.room = *address_length;
        begun.result = next(fd, buffer, length, flags, ADDRESS(address), address_length);
        if (__builtin_expect(plain_ends(&begun) && plain_is_bare(&begun, address_length), 1))
            return plain_recorded(RECVSHIM_CALL_RECVFROM, fd, flags, length, &begun);
    }
    struct call call = {.which = RECVSHIM_CALL_RECVFROM,
                        .form = RECVSHIM_CALL_RECVFROM,
                        .fd = fd,
                        .flags = flags,
                        .buffer = buffer,
                        .length = length,
                        .address = ADDRESS(address),
                        .address_length = address_length};
    return plain ? receive_concluded(&call, &begun) : receive(&call);
}

/* What is not there the kernel refuses: it is not looked at here. */
static inline struct call call_of_message(int fd, struct msghdr *message, int flags, bool time64)
{
    struct call call = {.which = RECVSHIM_CALL_RECVMSG,
                        .form = RECVSHIM_CALL_RECVMSG,
                        .time64 = time64,
                        .fd = fd,
                        .flags = flags,
                        .length = CALL_WHOLE,
                        .message = message};
    if (call_may_follow(message)) {
        call.address = message->msg_name;
        call.address_length = &message->msg_namelen;
    }
    return call;
}

static inline ssize_t message_received(struct msghdr *message, ssize_t result)
{
    if (result >= 0 && message->msg_controllen != 0)
        lifecycle_arrived(message);
    return result;
}

static ssize_t receive_message(int fd, struct msghdr *message, int flags, bool time64)
{
    struct call call = call_of_message(fd, message, flags, time64);
    if (!call_may_follow(message))
        return next_receive(&call, 0, flags);
    return message_received(message, receive(&call));
}

EXPORT_RECEIVE ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    next_recvmsg_function *next = next_recvmsg();
    struct receive_begun begun;
    const bool plain =
        next != NULL && call_may_follow(message) && plain_begins(RECVSHIM_CALL_RECVMSG, fd, flags, &begun);
    if (__builtin_expect(!plain, 0))
        return receive_message(fd, message, flags, false);
    struct sockaddr *const name = message->msg_name;
    if (name != NULL)
        begun.room = message->msg_namelen;
    begun.result = next(fd, message, flags);
    if (__builtin_expect(plain_ends(&begun) && plain_is_bare(&begun, &message->msg_namelen) &&
                             message->msg_controllen == 0 && message->msg_iovlen == 1,
                         1))
        return plain_recorded(RECVSHIM_CALL_RECVMSG, fd, flags, message->msg_iov->iov_len, &begun);
    struct call call = call_of_message(fd, message, flags, false);
    call.address = name; /* what came may lie where the header did */
    return message_received(message, receive_concluded(&call, &begun));
}

static inline int receive_some(int fd, struct messages all, int flags, bool time64)
{
    struct call call = {.which = RECVSHIM_CALL_RECVMMSG,
                        .form = RECVSHIM_CALL_RECVMMSG,
                        .time64 = time64,
                        .fd = fd,
                        .flags = flags,
                        .length = CALL_WHOLE,
                        .messages = &all};
    int result = receive_messages(&call);
    for (int i = 0; i < result; i++)
        lifecycle_arrived(&all.each[i].msg_hdr);
    return result;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
    return receive_some(fd, (struct messages){messages, count, (void *)timeout, 0}, flags, false);
}

RETURNS_AFTER_SYSTEM_CALL __attribute__((flatten, noinline)) static ssize_t read_socket(int fd, void *buffer,
                                                                                        size_t length)
{
    next_read_function *next = next_read();
    struct receive_begun begun;
    const bool plain = next != NULL && plain_begins(RECVSHIM_CALL_READ, fd, 0, &begun);
    if (__builtin_expect(plain, 1)) {
        begun.result = next(fd, buffer, length);
        if (__builtin_expect(plain_ends(&begun), 1))
            return plain_recorded(RECVSHIM_CALL_READ, fd, 0, length, &begun);
    }
    struct call call = {
        .which = RECVSHIM_CALL_READ, .form = RECVSHIM_CALL_READ, .fd = fd, .buffer = buffer, .length = length};
    return plain ? receive_concluded(&call, &begun) : receive_from_any(&call);
}

EXPORT ssize_t read(int fd, void *buffer, size_t length)
{
    next_read_function *next = next_read();
    if (receive_passes_on(RECVSHIM_CALL_READ, fd) && next != NULL)
        return next(fd, buffer, length);
    return read_socket(fd, buffer, length);
}

/* Its other name, under which libc has it for libraries of its own time. */
ssize_t __read(int fd, void *buffer, size_t length);

EXPORT ssize_t __read(int fd, void *buffer, size_t length)
{
    return read(fd, buffer, length);
}

EXPORT ssize_t readv(int fd, const struct iovec *vector, int count)
{
    next_readv_function *next = next_readv();
    if (receive_passes_on(RECVSHIM_CALL_READV, fd) && next != NULL)
        return next(fd, vector, count);
    struct call call = {.which = RECVSHIM_CALL_READV,
                        .form = RECVSHIM_CALL_READV,
                        .fd = fd,
                        .pieces = count,
                        .length = CALL_WHOLE,
                        .vector = vector};
    return receive_from_any(&call);
}

/* What _FORTIFY_SOURCE makes of three: libc declares them only then, and aborts as these do. */
void __chk_fail(void) __attribute__((noreturn));
ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags, struct sockaddr *address,
                       socklen_t *address_length);
ssize_t __read_chk(int fd, void *buffer, size_t length, size_t size);

EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags)
{
    if (length > size)
        __chk_fail();
    return recv(fd, buffer, length, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags, struct sockaddr *address,
                              socklen_t *address_length)
{
    if (length > size)
        __chk_fail();
    return recvfrom(fd, buffer, length, flags, address, address_length);
}

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t size)
{
    if (length > size)
        __chk_fail();
    return read(fd, buffer, length);
}

/* ---- calls that make, change or close a socket: noted, and passed on ----
 *
 * A NULL from next_*() is a call out of dlsym itself (next.h): the kernel is entered directly. */

EXPORT int socket(int domain, int type, int protocol)
{
    next_socket_function *next = next_socket();
    int fd =
        next != NULL ? next(domain, type, protocol) : (int)KERNEL_SOCKET_CALL(socket, SOCKET, domain, type, protocol);
    if (fd >= 0)
        lifecycle_made(fd, domain, type);
    return fd;
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
    next_socketpair_function *next = next_socketpair();
    int result = next != NULL ? next(domain, type, protocol, fds)
                              : (int)KERNEL_SOCKET_CALL(socketpair, SOCKETPAIR, domain, type, protocol, fds);
    if (result == 0)
        lifecycle_paired(fds, domain, type);
    return result;
}

EXPORT int accept(int listener, __SOCKADDR_ARG address, socklen_t *address_length)
{
    struct acceptance acceptance;
    lifecycle_accepting(&acceptance, listener, ADDRESS(address), address_length);
    next_accept_function *next = next_accept();
    int fd = next != NULL
                 ? next(listener, acceptance.address, acceptance.length)
                 : (int)KERNEL_SOCKET_CALL(accept4, ACCEPT4, listener, acceptance.address, acceptance.length, 0);
    if (fd >= 0)
        lifecycle_accepted(&acceptance, listener, fd);
    return fd;
}

EXPORT int accept4(int listener, __SOCKADDR_ARG address, socklen_t *address_length, int flags)
{
    struct acceptance acceptance;
    lifecycle_accepting(&acceptance, listener, ADDRESS(address), address_length);
    next_accept4_function *next = next_accept4();
    int fd = next != NULL
                 ? next(listener, acceptance.address, acceptance.length, flags)
                 : (int)KERNEL_SOCKET_CALL(accept4, ACCEPT4, listener, acceptance.address, acceptance.length, flags);
    if (fd >= 0)
        lifecycle_accepted(&acceptance, listener, fd);
    return fd;
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    struct connecting before = lifecycle_connecting(fd);
    next_connect_function *next = next_connect();
    int result = next != NULL ? next(fd, ADDRESS(address), length)
                              : (int)KERNEL_SOCKET_CALL(connect, CONNECT, fd, ADDRESS(address), length);
    lifecycle_connected(fd, ADDRESS(address), length, result, before);
    return result;
}

EXPORT int shutdown(int fd, int how)
{
    uint64_t before = lifecycle_shutting_down(fd, how);
    next_shutdown_function *next = next_shutdown();
    int result = next != NULL ? next(fd, how) : (int)KERNEL_SOCKET_CALL(shutdown, SHUTDOWN, fd, how);
    if (result != 0)
        lifecycle_shutdown_failed(fd, before);
    return result;
}

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

/* Within libc it closes past our close: what was noted of a socket would then be believed of a file that gets its
 * number, and is read. */
EXPORT int fclose(FILE *stream)
{
    const int error = errno;
    int fd = fileno(stream); /* -1, with errno set, of one in memory */
    errno = error;
    lifecycle_closing(fd);
    next_fclose_function *next = next_fclose();
    if (next != NULL)
        return next(stream);
    errno = EAGAIN;
    return EOF;
}

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

static int set_option(next_setsockopt_function *next, int fd, int level, int option, const void *value,
                      socklen_t length)
{
    int result = next != NULL ? next(fd, level, option, value, length)
                              : (int)KERNEL_SOCKET_CALL(setsockopt, SETSOCKOPT, fd, level, option, value, length);
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO_OLD || option == SO_RCVTIMEO_NEW))
        lifecycle_timeout_changed(fd);
    return result;
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    return set_option(next_setsockopt(), fd, level, option, value, length);
}

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    next_epoll_ctl_function *next = next_epoll_ctl();
    int result =
        next != NULL ? next(epoll, operation, fd, event) : (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    if (result == 0 && operation != EPOLL_CTL_DEL && (event->events & EPOLLET) != 0)
        inject_edges_awaited();
    return result;
}

static int get_option(next_getsockopt_function *next, int fd, int level, int option, void *value, socklen_t *length)
{
    int result = next != NULL ? next(fd, level, option, value, length)
                              : (int)KERNEL_SOCKET_CALL(getsockopt, GETSOCKOPT, fd, level, option, value, length);
    if (result == 0 && level == SOL_SOCKET && option == SO_ERROR && *length == sizeof(int)) {
        int error;
        memcpy(&error, value, sizeof error);
        lifecycle_error_read(fd, error);
    }
    return result;
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    return get_option(next_getsockopt(), fd, level, option, value, length);
}

/* ---- calls that install signal handlers ---- */

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

/* ---- what the process does to itself ---- */

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
        if (option == PR_SET_SECCOMP)                                                                                  \
            query_filter_announced();                                                                                  \
        next_##name##_function *next = next_##name();                                                                  \
        return next != NULL ? next(option, a, b, c, d) : (int)syscall(SYS_prctl, option, a, b, c, d);                  \
    }
EXPORT_PRCTL(prctl)

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

/* ---- what 32-bit programs with 64-bit times call instead: next.h ---- */

#if __TIMESIZE == 32

/* libc's headers declare them only in such programs. */
int __setsockopt64(int fd, int level, int option, const void *value, socklen_t length);
int __getsockopt64(int fd, int level, int option, void *value, socklen_t *length);
ssize_t __recvmsg64(int fd, struct msghdr *message, int flags);
int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout);
int __fcntl_time64(int fd, int command, ...);
int __prctl_time64(int option, ...);

EXPORT int __setsockopt64(int fd, int level, int option, const void *value, socklen_t length)
{
    return set_option(next___setsockopt64(), fd, level, option, value, length);
}

EXPORT int __getsockopt64(int fd, int level, int option, void *value, socklen_t *length)
{
    return get_option(next___getsockopt64(), fd, level, option, value, length);
}

EXPORT ssize_t __recvmsg64(int fd, struct msghdr *message, int flags)
{
    return receive_message(fd, message, flags, true);
}

EXPORT int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout)
{
    return receive_some(fd, (struct messages){messages, count, timeout, 0}, flags, true);
}

EXPORT_FCNTL(__fcntl_time64, next___fcntl_time64())
EXPORT_PRCTL(__prctl_time64)

#endif
