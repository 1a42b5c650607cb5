/* Calling an interrupted receive again, as PEP 475 does, with SO_RCVTIMEO kept as a total deadline. */
#ifndef RETRY_H
#define RETRY_H

#include "call.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What has to be known of the call, and may be done for it. A moment is whatever moment() returns. */
struct retry_terms {
    /* Whether the descriptor may have an SO_RCVTIMEO, as far as this process knows: for where the kernel is not asked.
     */
    bool (*may_time_out)(int fd);
    uint64_t (*moment)(void);
    bool (*passes)(uint64_t since); /* whether something ran since then that is to reach the program */
    /* Whether an interruption is to reach it of which nothing is known: of an attempt that began then, and was under an
     * SO_RCVTIMEO, or may have been. */
    bool (*unexplained)(uint64_t since, bool timed);
    uint64_t begun; /* the moment when the call began */
    uint64_t entry; /* clock_now() when the call began; 0 where that was not noted: the deadline counts from now */
    socklen_t room; /* *call->address_length as the program gave it */
    uint32_t interruptions; /* attempts that are to fail with EINTR before one is made: injected, and absorbed
                             * whatever the socket is and the signals say; the first has failed already */
    bool waited;            /* some of its time has been spent waiting before */
    bool may_ask;           /* whether the kernel may be called for anything but the receive itself */
};

struct retried {
    ssize_t result;   /* as recv's, with errno set on -1; errno is undefined otherwise */
    uint32_t retries; /* interruptions absorbed; UINT32_MAX: that many or more */
    bool passed;      /* the last is left to the program, because terms->passes() said so */
    bool timed;       /* the socket had an SO_RCVTIMEO when it was interrupted, or may have had one */
};

/* Go on with a call that has just failed with EINTR, until it ends in any other way, or may not be gone on with: EINTR
 * then stays. */
struct retried retry(const struct call *call, const struct retry_terms *terms);

/* Make the call where a part of its time has been spent already: the deadline is kept, and nothing has been interrupted
 * yet. Where there is none the result is as of a plain attempt. */
struct retried retry_within_deadline(const struct call *call, const struct retry_terms *terms);

/* Let those handlers run that were put off: definitions of ThreadSanitizer's in the program itself, above ours, take a
 * signal and run its handler when a call of libc's returns to them; and the receive that goes on below them may wait
 * for what the handler does. This makes such a call, of one that does nothing. */
void retry_let_handlers_run(void);

/* What is left of a time-out, in nanoseconds; 0 once the deadline has passed. Pure. RETRY_FOR_EVER stays what it is. */
uint64_t retry_remaining(uint64_t timeout, uint64_t entry, uint64_t now);
#define RETRY_FOR_EVER UINT64_MAX

#endif
