#include "source.h"

#include "kernel.h"
#include "next.h"
#include "query.h"

#include "trace/calls.h"

#include <limits.h>

/* The forms that become another system call where they have an address: a look-up, which is not made where none may be.
 */
#define BECOME_ANOTHER (CALLS_ON_FILES | (KERNEL_RECV_IS_RECVFROM ? 0 : 1U << RECVSHIM_CALL_RECV))

/* A recvfrom looks at less than a read of what is too long to be read (access_ok). */
bool source_can_be_lent(const struct call *call)
{
    const bool becomes_another = (BECOME_ANOTHER >> call->form & 1U) != 0;
    const bool is_too_long = call->form == RECVSHIM_CALL_READ && call->length > INT_MAX;
    return next_tells_source(call->form) && !(becomes_another && (is_too_long || !query_allowed()));
}

void source_lend(const struct call *call, struct source *source, struct call *with)
{
    *with = *call;
    with->address = (struct sockaddr *)&source->longest;
    source->length = sizeof source->longest;
    with->address_length = &source->length;
    if (call->form != RECVSHIM_CALL_RECVMSG && call->form != RECVSHIM_CALL_READV) {
        with->form = RECVSHIM_CALL_RECVFROM; /* which the kernel makes of recv, and of read on a socket */
        return;
    }
    if (call->form == RECVSHIM_CALL_RECVMSG)
        source->message = *call->message;
    else
        source->message =
            (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)call->vector, .msg_iovlen = (size_t)call->pieces};
    source->message.msg_name = &source->longest;
    source->message.msg_namelen = sizeof source->longest;
    with->form = RECVSHIM_CALL_RECVMSG;
    with->message = &source->message;
    with->address_length = &source->message.msg_namelen;
}

void source_return(const struct call *call, const struct source *source)
{
    if (call->form != RECVSHIM_CALL_RECVMSG)
        return;
    call->message->msg_controllen = source->message.msg_controllen;
    call->message->msg_flags = source->message.msg_flags;
}
