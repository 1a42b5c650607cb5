/* One receive as the program asked for it. Every stage of receive.c takes it by pointer and changes nothing in it. */
#ifndef CALL_H
#define CALL_H

#include "recvshim/trace.h"

#include <stddef.h>
#include <sys/socket.h>

struct call {
    enum recvshim_call which;
    int fd;
    void *buffer;
    size_t length;
    int flags;
    struct sockaddr *address; /* the program's own: NULL, too small, unaligned or invalid as it likes */
    socklen_t *address_length;
};

#endif
