/* The next definition of each interposed call in link order: another preload's, or libc's. The only code that calls
 * dlsym. */
#ifndef NEXT_H
#define NEXT_H

#include "call.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/* What 32-bit programs call instead that were built with 64-bit times (_TIME_BITS=64, glibc 2.34). Functions of their
 * own: some convert what is in a message. */
#if __TIMESIZE == 32
#define NEXT_TIME64_TABLE(X)                                                                                           \
    X(__fcntl_time64, int, (int, int, ...))                                                                            \
    X(__getsockopt64, int, (int, int, int, void *, socklen_t *))                                                       \
    X(__setsockopt64, int, (int, int, int, const void *, socklen_t))                                                   \
    X(__recvmsg64, ssize_t, (int, struct msghdr *, int))                                                               \
    X(__recvmmsg64, int, (int, struct mmsghdr *, unsigned int, int, void *))                                           \
    X(__prctl_time64, int, (int, ...))
#else
#define NEXT_TIME64_TABLE(X)
#endif

/* Interposed function, result, parameters. All are in every glibc since 2.17 but fcntl64, which came with 2.28,
 * close_range and closefrom, with 2.34, and pthread_create, before 2.34 in libpthread: where one is missing no program
 * calls it either. Those called most come first, on one cache line. */
#define NEXT_TABLE(X)                                                                                                  \
    X(recv, ssize_t, (int, void *, size_t, int))                                                                       \
    X(recvfrom, ssize_t, (int, void *, size_t, int, struct sockaddr *, socklen_t *))                                   \
    X(read, ssize_t, (int, void *, size_t))                                                                            \
    X(recvmsg, ssize_t, (int, struct msghdr *, int))                                                                   \
    X(readv, ssize_t, (int, const struct iovec *, int))                                                                \
    X(recvmmsg, int, (int, struct mmsghdr *, unsigned int, int, void *))                                               \
    X(accept, int, (int, struct sockaddr *, socklen_t *))                                                              \
    X(accept4, int, (int, struct sockaddr *, socklen_t *, int))                                                        \
    X(close, int, (int))                                                                                               \
    X(connect, int, (int, const struct sockaddr *, socklen_t))                                                         \
    X(getsockopt, int, (int, int, int, void *, socklen_t *))                                                           \
    X(fcntl, int, (int, int, ...))                                                                                     \
    X(socket, int, (int, int, int))                                                                                    \
    X(socketpair, int, (int, int, int, int[2]))                                                                        \
    X(dup, int, (int))                                                                                                 \
    X(dup2, int, (int, int))                                                                                           \
    X(dup3, int, (int, int, int))                                                                                      \
    X(fcntl64, int, (int, int, ...))                                                                                   \
    X(setsockopt, int, (int, int, int, const void *, socklen_t))                                                       \
    X(shutdown, int, (int, int))                                                                                       \
    X(close_range, int, (unsigned int, unsigned int, int))                                                             \
    X(closefrom, void, (int))                                                                                          \
    X(fclose, int, (FILE *))                                                                                           \
    X(freopen, FILE *, (const char *, const char *, FILE *))                                                           \
    X(freopen64, FILE *, (const char *, const char *, FILE *))                                                         \
    X(prctl, int, (int, ...))                                                                                          \
    X(syscall, long, (long, long, long, long, long, long, long))                                                       \
    X(sigaction, int, (int, const struct sigaction *, struct sigaction *))                                             \
    X(clone, int, (int (*)(void *), void *, int, void *, ...))                                                         \
    X(pthread_create, int, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))                           \
    X(epoll_ctl, int, (int, int, int, struct epoll_event *))                                                           \
    X(vfork, pid_t, (void))                                                                                            \
    X(_exit, void, (int))                                                                                              \
    NEXT_TIME64_TABLE(X)

#define NEXT_ENUM(name, result, parameters) NEXT_##name,
enum next_index { NEXT_TABLE(NEXT_ENUM) NEXT_COUNT };
#undef NEXT_ENUM

extern _Atomic(void *) next_symbols[NEXT_COUNT];

/* Look the definition up. NULL in one case only: this thread is inside dlsym already, because something that dlsym
 * itself needs (a malloc of the program's) made the call. The caller then enters the kernel directly. */
__attribute__((cold, noinline)) void *next_look_up(enum next_index index);

/* The same of a name that is not in the table; NULL also where there is none. */
__attribute__((cold, noinline)) void *next_find(const char *name);

/* Look all of them up, and the offsets. For the constructor: later a look-up may fall into a signal handler. */
void next_start(void);

/* next_recv() and so on: a pointer to the next definition, or NULL as above. Relaxed: the value is the address of code
 * that was mapped before the program began, and every thread that looks it up finds the same. */
#define NEXT_GETTER(name, result, parameters)                                                                          \
    typedef result next_##name##_function parameters;                                                                  \
    static inline next_##name##_function *next_##name(void)                                                            \
    {                                                                                                                  \
        void *symbol = atomic_load_explicit(&next_symbols[NEXT_##name], memory_order_relaxed);                         \
        if (__builtin_expect(symbol == NULL, 0))                                                                       \
            symbol = next_look_up(NEXT_##name);                                                                        \
        return (next_##name##_function *)(uintptr_t)symbol;                                                            \
    }
NEXT_TABLE(NEXT_GETTER)
#undef NEXT_GETTER

/* The next definition of a call, which has two forms on 32-bit machines. */
#if __TIMESIZE == 32
#define NEXT_OF_TIME(call, wide, plain) (call_has_time64(call) ? next_##wide() : next_##plain())
#else
#define NEXT_OF_TIME(call, wide, plain) next_##plain()
#endif

#ifdef __i386__
/* The form of fcntl that the object was linked with whose code is at `caller`: they differ in open file description
 * locks. NULL as above. Takes the loader's lock. */
next_fcntl_function *next_fcntl_of(const void *caller);
#endif

/* Time, what waits for it, and who the peer is: libc's own definitions, past those of other preloads, which have times
 * of their own (libfaketime), and do more than answer (tsocks). Until the constructor has run, what the loader has
 * found. */
#define NEXT_LIBC_TABLE(X)                                                                                             \
    X(clock_gettime, int, (clockid_t, struct timespec *))                                                              \
    X(clock_nanosleep, int, (clockid_t, int, const struct timespec *, struct timespec *))                              \
    X(getpeername, int, (int, struct sockaddr *, socklen_t *))                                                         \
    X(ppoll, int, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))

#define NEXT_LIBC_POINTER(name, result, parameters)                                                                    \
    typedef result next_libc_##name##_function parameters;                                                             \
    extern _Atomic(next_libc_##name##_function *) next_libc_##name;
NEXT_LIBC_TABLE(NEXT_LIBC_POINTER)
#undef NEXT_LIBC_POINTER

/* Whether a call may be made as the one that also tells the source (source.h): where both are one library's. Another
 * preload that stands in for just one of them must get it. */
bool next_tells_source(enum recvshim_call call);

/* Where libc keeps what is a thread's own, in bytes; 0 where it does not say. */
struct next_offsets {
    ptrdiff_t tid; /* from pthread_self() on: the thread's id, a pid_t */
    ptrdiff_t cpu; /* from the thread pointer on: cpu_id of its struct rseq, an int32_t: negative where the kernel does
                    * not fill it in */
};
struct next_offsets next_offsets(void);

/* What is left until messages->until of a recvmmsg, in the form of its own timeout. */
void next_time_left(const struct call *call, union messages_timeout *timeout);

/* The same as next_receive(), of the other forms. */
ssize_t next_receive_as(const struct call *call, size_t offset, int flags);

/* The same again, where there is no next definition yet. */
__attribute__((cold)) ssize_t next_receive_from_kernel(const struct call *call, size_t offset, int flags);

/* Make the receive `call` as its form says, into its buffers from `offset` on, with these flags. A cancellation point,
 * as the call is. Returns and sets errno as recvfrom does; of a recvmmsg, as recvmmsg does. */
static inline ssize_t next_receive(const struct call *call, size_t offset, int flags)
{
    char *buffer = (char *)call->buffer + offset;
    size_t length = call->length - offset;
    if (call->form == RECVSHIM_CALL_RECV) {
        next_recv_function *next = next_recv();
        if (__builtin_expect(next != NULL, 1))
            return next(call->fd, buffer, length, flags);
    } else if (call->form == RECVSHIM_CALL_RECVFROM) {
        next_recvfrom_function *next = next_recvfrom();
        if (__builtin_expect(next != NULL, 1))
            return next(call->fd, buffer, length, flags, call->address, call->address_length);
    } else if (call->form == RECVSHIM_CALL_RECVMSG && call->length == CALL_WHOLE && offset == 0 &&
               !call_has_time64(call)) {
        next_recvmsg_function *next = next_recvmsg();
        if (__builtin_expect(next != NULL, 1))
            return next(call->fd, call->message, flags);
    } else {
        return next_receive_as(call, offset, flags);
    }
    return next_receive_from_kernel(call, offset, flags);
}

#endif
