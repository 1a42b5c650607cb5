/* The receives that nearly all are: of a connection that is known, under no rule, and with nothing to be done to them
 * but to make the call and to record what came. Whether one is, is told before it is made, and by little memory; it is
 * then made with all that is needed in registers, because what a system call has left of ours in the caches and in the
 * processor's predictors is little, and each line of code and data that comes back is paid for. What begins so and ends
 * otherwise is concluded by receive.c, which does all of this in general. */
#ifndef PLAIN_H
#define PLAIN_H

#include "call.h"
#include "connection.h"
#include "fault.h"
#include "handled.h"
#include "receive.h"
#include "recorder.h"
#include "report.h"
#include "thread.h"
#include "vfork.h"

/* Whether it is one, so far. */
static inline bool plain_begins(enum recvshim_call which, int fd, int flags, struct receive_begun *begun)
{
    bool handled = receive_is_handled(which) && !receive_settings.duration;
    if (__builtin_expect(!handled || fault_possible() || thread_self.vfork_depth != 0 || thread_self.error == NULL, 0))
        return false;
    begun->traced = recorder_tracing();
    begun->word = connection_word(fd);
    begun->handled = handled_now();
    begun->entry_error = *thread_self.error;
    begun->room = 0;
    /* No time-out that has to be kept as a deadline. */
    if ((flags & MSG_DONTWAIT) == 0 && (begun->word & CONNECTION_NO_TIMEOUT) == 0)
        return false;
    /* The trace has met the connection, and knows its peer. */
    const uint64_t met = CONNECTION_RECEIVED | CONNECTION_CONNECTED;
    return !begun->traced || (begun->word & (met | CONNECTION_LOCAL_OWED)) == met;
}

/* Whether it ended as one. */
static inline bool plain_ends(const struct receive_begun *begun)
{
    return begun->result > 0 && (begun->traced || !recorder_tracing());
}

/* Whether it brought no address with it, in which there would be a scope id, and a peer. */
static inline bool plain_is_bare(const struct receive_begun *begun, const socklen_t *address_length)
{
    return begun->room == 0 || *address_length == 0;
}

/* Record one that did, and return its result. errno is as it was. */
static inline ssize_t plain_recorded(enum recvshim_call which, int fd, int flags, size_t length,
                                     const struct receive_begun *begun)
{
    if (recorder_tracing())
        report_plain(which, fd, flags, length, begun->word, begun->result);
    return begun->result;
}

#endif
