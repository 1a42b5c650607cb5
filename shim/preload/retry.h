/* Calling an interrupted receive again, as PEP 475 does, with SO_RCVTIMEO kept as a total deadline. */
#ifndef RETRY_H
#define RETRY_H

#include "call.h"

#include <stdint.h>
#include <sys/types.h>

struct retried {
    ssize_t result;   /* as recv's, with errno set on -1; errno is undefined otherwise */
    uint32_t retries; /* interruptions absorbed, 0 for a call that is left interrupted; UINT32_MAX: that many or more */
};

/* Go on with a call that has just failed with EINTR.
 *
 * `entry`: clock_now() when the call began; 0 where that was not noted, and the deadline then counts from now.
 * `room`: *call->address_length as the program gave it. */
struct retried retry(const struct call *call, uint64_t entry, socklen_t room);

/* What is left of a time-out, in nanoseconds; 0 once the deadline has passed. Pure. A time-out of microseconds beyond
 * what nanoseconds can count is as good as none. */
uint64_t retry_remaining(uint64_t timeout, uint64_t entry, uint64_t now);

#endif
