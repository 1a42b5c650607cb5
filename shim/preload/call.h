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

/* What recvmmsg is given. */
struct messages {
    struct mmsghdr *each;
    unsigned int count;
    struct timespec *timeout;
    uint64_t until; /* clock_now() when that is over, for an attempt after an interrupted one; else 0 */
};

/* A receive fills one buffer, or (readv, recvmsg) several one after the other: buffers.h looks at both alike. Whatever
 * the program points to is its own: NULL, too small, unaligned or invalid as it likes. */
struct call {
    uint8_t which; /* enum recvshim_call: what the program called */
    uint8_t form;  /* the same: how it is made below */
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

/* A pointer that the kernel refuses to follow ends no program: neither may it here. What is mapped cannot be told
 * without asking, but the addresses that programs use to provoke EFAULT are those that no process has. */
static inline bool call_may_follow(const void *pointer)
{
    const uintptr_t first = 4096, end = sizeof pointer == 8 ? UINTPTR_MAX / 2 : UINTPTR_MAX - 4096;
    return (uintptr_t)pointer >= first && (uintptr_t)pointer < end;
}

#endif
