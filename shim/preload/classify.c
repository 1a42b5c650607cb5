#include "classify.h"

#include "buffers.h"

#include <errno.h>

static bool ends_a_stream(int error)
{
    return error == ECONNRESET || error == ETIMEDOUT || error == ECONNABORTED || error == EHOSTUNREACH ||
           error == ENETUNREACH;
}

/* A 0 that says nothing about the other end: none was asked for, or it came from another queue than the data. */
static bool says_nothing(const struct call *call)
{
    return buffers_size(call) == 0 || (call->flags & (MSG_ERRQUEUE | MSG_OOB)) != 0;
}

bool classify_needs_type(const struct call *call, ssize_t result, int error)
{
    return result == 0 ? !says_nothing(call) : result < 0 && ends_a_stream(error);
}

enum recvshim_event classify(const struct call *call, ssize_t result, int error, int type, bool hung_up)
{
    if (result > 0)
        return RECVSHIM_EVENT_RECEIVE;
    if (result == 0) {
        if (says_nothing(call))
            return RECVSHIM_EVENT_RECEIVE;
        bool ended = type == SOCK_STREAM || (type == SOCK_SEQPACKET && hung_up);
        return ended ? RECVSHIM_EVENT_DISCONNECT : RECVSHIM_EVENT_EMPTY;
    }
    if (error == EAGAIN)
        return RECVSHIM_EVENT_WOULD_BLOCK;
    if (error == EINTR)
        return RECVSHIM_EVENT_INTERRUPTED;
    bool connected = type == SOCK_STREAM || type == SOCK_SEQPACKET;
    return connected && ends_a_stream(error) ? RECVSHIM_EVENT_DISCONNECT : RECVSHIM_EVENT_ERROR;
}
