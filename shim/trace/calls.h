/* The receive calls of RECVSHIM_CALL_TABLE: by which symbols programs make them, and what they are. Exports, settings,
 * rules, `check` and tests go by these. */
#ifndef CALLS_H
#define CALLS_H

#include "recvshim/trace.h"

/* The symbols of libc through which programs make them, and the call that each is. The last two are those of 32-bit
 * programs built with 64-bit times (_TIME_BITS=64, glibc 2.34). */
#define CALL_SYMBOL_TABLE(X)                                                                                           \
    X(recv, RECV)                                                                                                      \
    X(__recv_chk, RECV)                                                                                                \
    X(recvfrom, RECVFROM)                                                                                              \
    X(__recvfrom_chk, RECVFROM)                                                                                        \
    X(recvmsg, RECVMSG)                                                                                                \
    X(recvmmsg, RECVMMSG)                                                                                              \
    X(read, READ)                                                                                                      \
    X(__read, READ)                                                                                                    \
    X(__read_chk, READ)                                                                                                \
    X(readv, READV)                                                                                                    \
    X(__recvmsg64, RECVMSG)                                                                                            \
    X(__recvmmsg64, RECVMMSG)

/* Sets of calls, with bit N for call N. */
#define CALLS_ALL ((1U << RECVSHIM_CALLS) - 1U)
/* Those handled where RECVSHIM_CALLS does not say otherwise. */
#define CALLS_DEFAULT (1U << RECVSHIM_CALL_RECV | 1U << RECVSHIM_CALL_RECVFROM)
/* Those that can tell who sent what they return. */
#define CALLS_WITH_ADDRESS (1U << RECVSHIM_CALL_RECVFROM | 1U << RECVSHIM_CALL_RECVMSG | 1U << RECVSHIM_CALL_RECVMMSG)
/* Those that may be made on anything, and are receives on sockets alone. */
#define CALLS_ON_FILES (1U << RECVSHIM_CALL_READ | 1U << RECVSHIM_CALL_READV)

#endif
