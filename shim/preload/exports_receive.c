/* The calls that receive: recv, recvfrom, recvmsg, recvmmsg, read and readv, and their other names. */
#include "exports.h"

#include "lifecycle.h"
#include "next.h"
#include "plain.h"
#include "receive.h"
#include "returns.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

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

static inline struct call call_of_message(int fd, struct msghdr *message, int flags, bool time64)
{
    return (struct call){.which = RECVSHIM_CALL_RECVMSG,
                         .form = RECVSHIM_CALL_RECVMSG,
                         .time64 = time64,
                         .fd = fd,
                         .flags = flags,
                         .length = CALL_WHOLE,
                         .message = message};
}

static inline ssize_t message_received(struct msghdr *message, ssize_t result)
{
    if (result >= 0 && message->msg_controllen != 0)
        lifecycle_arrived(message);
    return result;
}

/* Out of line: its code and its frame are no matter of a plain receive. */
__attribute__((noinline)) static ssize_t receive_message(int fd, struct msghdr *message, int flags, bool time64)
{
    struct call call = call_of_message(fd, message, flags, time64);
    /* What is not there the kernel refuses: it is not looked at before. */
    if (!receive_is_handled(RECVSHIM_CALL_RECVMSG) || !call_may_follow(message))
        return message_received(message, next_receive(&call, 0, flags));
    call.address = message->msg_name;
    call.address_length = &message->msg_namelen;
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
    call.address_length = &message->msg_namelen;
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

/* What 32-bit programs with 64-bit times call instead: next.h. libc's headers declare them only in such programs. */
#if __TIMESIZE == 32
ssize_t __recvmsg64(int fd, struct msghdr *message, int flags);
int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout);

EXPORT ssize_t __recvmsg64(int fd, struct msghdr *message, int flags)
{
    return receive_message(fd, message, flags, true);
}

EXPORT int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout)
{
    return receive_some(fd, (struct messages){messages, count, timeout, 0}, flags, true);
}
#endif
