/* What a record keeps of a socket address. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "recvshim/trace.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Take it from the first `size` bytes of a sockaddr, which may be unaligned and of any family. Returns false where it
 * is of none that records keep, or cut too short; *address is unchanged then. A path is interned in the trace. */
bool address_take(const struct sockaddr *bytes, socklen_t size, struct recvshim_address *address);

/* A length that the kernel refuses to read ends no program: neither may it here. What is mapped cannot be told without
 * asking, but the addresses that programs use to provoke EFAULT are those that no process has. */
static inline bool address_length_may_be_read(const socklen_t *length)
{
    const uintptr_t first = 4096, end = sizeof length == 8 ? UINTPTR_MAX / 2 : UINTPTR_MAX - 4096;
    return (uintptr_t)length >= first && (uintptr_t)length < end;
}

#endif
