/* Verdicts on a record that need no system call: what the facts mean (SEMANTICS: "What counts as a disconnect"). Pure.
 */
#ifndef CAUSE_H
#define CAUSE_H

#include "recvshim/trace.h"

/* id, name in the output, what it means to a person */
#define CAUSE_TABLE(X)                                                                                                 \
    X(EOF, "eof", "peer closed the connection")                                                                        \
    X(RESET, "reset", "reset by peer")                                                                                 \
    X(TIMEOUT, "timeout", "peer no longer answers")                                                                    \
    X(ABORTED, "aborted", "aborted on this side")                                                                      \
    X(UNREACHABLE, "unreachable", "peer cannot be reached")                                                            \
    X(LOCAL_SHUTDOWN, "local-shutdown", "shut down by the program itself")                                             \
    X(UNKNOWN, "unknown", "reason unknown")

#define CAUSE_ENUM(id, name, meaning) CAUSE_##id,
enum cause { CAUSE_TABLE(CAUSE_ENUM) CAUSES };
#undef CAUSE_ENUM

extern const char *const cause_names[CAUSES];
extern const char *const cause_meanings[CAUSES];

/* Why a connection ended: for a record whose event is RECVSHIM_EVENT_DISCONNECT. */
enum cause cause_of(const struct recvshim_record *record);

/* Who ended a connection first: the peer, or the program by shutdown or close. Nobody can be told for a socket that was
 * never connected, nor for one of datagrams. For a record whose event is RECVSHIM_EVENT_DISCONNECT or _CLOSE. */
enum first { FIRST_UNKNOWN, FIRST_PEER, FIRST_PROGRAM };
enum first first_of(const struct recvshim_record *record);

/* The bytes that the program got into its buffer: a datagram's real length (MSG_TRUNC) may be beyond it. */
uint64_t size_of_receive(const struct recvshim_record *record);

#endif
