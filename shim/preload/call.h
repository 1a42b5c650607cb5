/* One receive as the program asked for it. Every stage of receive.c takes it by pointer and changes nothing in it. */
#ifndef CALL_H
#define CALL_H

#include "recvshim/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* The time-out of a recvmmsg: `wide` where call_has_time64(). */
union messages_timeout {
    struct timespec plain;
    struct {
        int64_t tv_sec;
        int32_t tv_nsec; /* little-endian, as all 32-bit machines are that this is built for */
        int32_t reserved;
    } wide;
};

static inline void messages_timeout_read(const union messages_timeout *timeout, bool is_wide, int64_t *seconds,
                                         int64_t *nanoseconds)
{
    *seconds = is_wide ? timeout->wide.tv_sec : timeout->plain.tv_sec;
    *nanoseconds = is_wide ? timeout->wide.tv_nsec : timeout->plain.tv_nsec;
}

/* The program's may be no longer than its form is. */
static inline void messages_timeout_write(union messages_timeout *timeout, bool is_wide, int64_t seconds,
                                          int64_t nanoseconds)
{
    if (is_wide) {
        timeout->wide.tv_sec = seconds;
        timeout->wide.tv_nsec = (int32_t)nanoseconds;
    } else {
        timeout->plain.tv_sec = (time_t)seconds;
        timeout->plain.tv_nsec = (long)nanoseconds;
    }
}

/* What recvmmsg is given. */
struct messages {
    struct mmsghdr *each;
    unsigned int count;
    union messages_timeout *timeout;
    uint64_t until; /* clock_now() when that is over, for an attempt after an interrupted one; else 0 */
};

/* A receive fills one buffer, or (readv, recvmsg) several one after the other: buffers.h looks at both alike. Whatever
 * the program points to is its own: NULL, too small, unaligned or invalid as it likes. */
struct call {
    uint8_t which; /* enum recvshim_call: what the program called */
    uint8_t form;  /* the same: how it is made below */
    bool time64;   /* recvmsg, recvmmsg: it is the form of a 32-bit program built with 64-bit times */
    int fd;
    int flags;
    int pieces;    /* readv: buffers */
    void *buffer;  /* recv, recvfrom, read */
    size_t length; /* bytes at most; CALL_WHOLE: as much as the buffers of readv and recvmsg hold */
    struct sockaddr *address;
    socklen_t *address_length;
    union {                         /* by `form` */
        const struct iovec *vector; /* readv */
        struct msghdr *message;     /* recvmsg */
        struct messages *messages;  /* recvmmsg */
    };
};
#define CALL_WHOLE SIZE_MAX

static inline bool call_has_time64(const struct call *call)
{
#if __TIMESIZE == 32
    return call->time64;
#else
    (void)call;
    return false;
#endif
}

/* A pointer that the kernel refuses to follow ends no program: neither may it here. What is mapped cannot be told
 * without asking, but the addresses that programs use to provoke EFAULT are those that no process has. */
static inline bool call_may_follow(const void *pointer)
{
    const uintptr_t first = 4096, end = sizeof pointer == 8 ? UINTPTR_MAX / 2 : UINTPTR_MAX - 4096;
    return (uintptr_t)pointer >= first && (uintptr_t)pointer < end;
}

#endif
