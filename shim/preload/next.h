/* The next definition of each interposed call in link order: another preload's, or libc's. The only code that calls
 * dlsym. */
#ifndef NEXT_H
#define NEXT_H

#include "call.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <time.h>

/* Interposed function, result, parameters. All are in every glibc since 2.17 but fcntl64, which came with 2.28,
 * close_range and closefrom, with 2.34, and pthread_create, before 2.34 in libpthread: where one is missing no program
 * calls it either. Those called most come first,
 * on one cache line. */
#define NEXT_TABLE(X)                                                                                                  \
    X(recv, ssize_t, (int, void *, size_t, int))                                                                       \
    X(recvfrom, ssize_t, (int, void *, size_t, int, struct sockaddr *, socklen_t *))                                   \
    X(read, ssize_t, (int, void *, size_t))                                                                            \
    X(recvmsg, ssize_t, (int, struct msghdr *, int))                                                                   \
    X(readv, ssize_t, (int, const struct iovec *, int))                                                                \
    X(recvmmsg, int, (int, struct mmsghdr *, unsigned int, int, struct timespec *))                                    \
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
    X(prctl, int, (int, ...))                                                                                          \
    X(syscall, long, (long, long, long, long, long, long, long))                                                       \
    X(sigaction, int, (int, const struct sigaction *, struct sigaction *))                                             \
    X(clone, int, (int (*)(void *), void *, int, void *, ...))                                                         \
    X(pthread_create, int, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))                           \
    X(epoll_ctl, int, (int, int, int, struct epoll_event *))                                                           \
    X(vfork, pid_t, (void))                                                                                            \
    X(_exit, void, (int))

#define NEXT_ENUM(name, result, parameters) NEXT_##name,
enum next_index { NEXT_TABLE(NEXT_ENUM) NEXT_COUNT };
#undef NEXT_ENUM

extern _Atomic(void *) next_symbols[NEXT_COUNT];

/* Look the definition up. NULL in one case only: this thread is inside dlsym already, because something that dlsym
 * itself needs (a malloc of the program's) made the call. The caller then enters the kernel directly. */
__attribute__((cold, noinline)) void *next_look_up(enum next_index index);

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

/* Whether a call may be made as the one that also tells the source (source.h): where both are one library's. Another
 * preload that stands in for just one of them must get it. */
bool next_tells_source(enum recvshim_call call);

/* Where libc keeps what is a thread's own, in bytes from pthread_self() on; 0 where it does not say. */
struct next_offsets {
    ptrdiff_t tid; /* the thread's id, a pid_t */
    ptrdiff_t cpu; /* cpu_id of its struct rseq, an int32_t: negative where the kernel does not fill it in */
};
struct next_offsets next_offsets(void);

/* What is left until messages->until. */
struct timespec next_time_left(const struct messages *messages);

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
    } else if (call->form == RECVSHIM_CALL_RECVMSG && call->length == CALL_WHOLE && offset == 0) {
        next_recvmsg_function *next = next_recvmsg();
        if (__builtin_expect(next != NULL, 1))
            return next(call->fd, call->message, flags);
    } else {
        return next_receive_as(call, offset, flags);
    }
    return next_receive_from_kernel(call, offset, flags);
}

#endif
