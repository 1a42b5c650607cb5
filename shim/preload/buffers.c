#include "buffers.h"

#include <limits.h>
#include <string.h>

/* The pieces of a call: those of the program, or its one buffer as a piece of `own`. */
struct view {
    const struct iovec *pieces;
    size_t count;
    struct iovec own;
};

/* More than IOV_MAX pieces the kernel refuses. */
static void look(const struct call *call, struct view *view)
{
    view->own = (struct iovec){call->buffer, call->length};
    view->pieces = &view->own;
    view->count = 1;
    if (call->form == RECVSHIM_CALL_READV) {
        view->pieces = call->vector;
        view->count = call->pieces > 0 ? (size_t)call->pieces : 0;
    } else if (call->form == RECVSHIM_CALL_RECVMSG) {
        view->pieces = call->message->msg_iov;
        view->count = call->message->msg_iovlen;
    }
    if (view->count > IOV_MAX || !call_may_follow(view->pieces))
        view->count = 0;
}

size_t buffers_size(const struct call *call)
{
    struct view view;
    size_t size = 0;
    look(call, &view);
    for (size_t i = 0; i < view.count && size < call->length; i++) {
        size_t length = view.pieces[i].iov_len, rest = call->length - size;
        size += length < rest ? length : rest;
    }
    return size;
}

size_t buffers_part(const struct call *call, size_t offset, struct iovec pieces[BUFFERS_PIECES], int *count)
{
    struct view view;
    size_t size = 0, skip = offset, most = call->length - offset;
    look(call, &view);
    *count = 0;
    for (size_t i = 0; i < view.count && size < most && *count < BUFFERS_PIECES; i++) {
        size_t length = view.pieces[i].iov_len;
        if (length <= skip) {
            skip -= length;
            continue;
        }
        length -= skip;
        if (length > most - size)
            length = most - size;
        pieces[(*count)++] = (struct iovec){(char *)view.pieces[i].iov_base + skip, length};
        size += length;
        skip = 0;
    }
    return size;
}

uint8_t *buffers_at(const struct call *call, size_t position)
{
    struct view view;
    look(call, &view);
    size_t i = 0;
    for (; i + 1 < view.count && position >= view.pieces[i].iov_len; i++)
        position -= view.pieces[i].iov_len;
    return (uint8_t *)view.pieces[i].iov_base + position;
}

void buffers_clear(const struct call *call, size_t first, size_t end)
{
    for (size_t at = first; at < end;) {
        struct iovec pieces[BUFFERS_PIECES];
        int count;
        size_t size = buffers_part(call, at, pieces, &count);
        if (size == 0)
            return;
        for (int i = 0; i < count && at < end; i++) {
            size_t length = pieces[i].iov_len < end - at ? pieces[i].iov_len : end - at;
            memset(pieces[i].iov_base, 0, length);
            at += length;
        }
    }
}
