/* Which event a receive was: the table "What counts as a disconnect", as far as no system call is needed. Pure. */
#ifndef CLASSIFY_H
#define CLASSIFY_H

#include "call.h"

#include <stdbool.h>
#include <sys/types.h>

/* Whether the event depends on the socket's type: without it, 0 and the errors that end a stream mean nothing. */
bool classify_needs_type(const struct call *call, ssize_t result, int error);

/* `error` is the errno of a result of -1; `type` as SOCK_STREAM, 0 unknown; `hung_up` whether poll shows POLLRDHUP or
 * POLLHUP, looked at for 0 from SOCK_SEQPACKET only. */
enum recvshim_event classify(const struct call *call, ssize_t result, int error, int type, bool hung_up);

#endif
