/* Time in nanoseconds, as traces count it: the kernel's, also where another preload gives the program a time of its own
 * (libfaketime). By one that stands still no deadline would ever pass. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#define NANOSECONDS_A_SECOND UINT64_C(1000000000)

/* Where it comes from: the kernel, by a system call; in traced processes libc's own clock_gettime, a vDSO read of 20
 * ns, once their constructor has found it. Relaxed: either will do. */
typedef int clock_function(clockid_t clock, struct timespec *now);
extern _Atomic(clock_function *) clock_source;

static inline uint64_t clock_read(clockid_t clock)
{
    struct timespec now;
    atomic_load_explicit(&clock_source, memory_order_relaxed)(clock, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_A_SECOND + (uint64_t)now.tv_nsec;
}

/* The clock of every record. */
static inline uint64_t clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

static inline struct timespec clock_timespec(uint64_t nanoseconds)
{
    return (struct timespec){.tv_sec = (time_t)(nanoseconds / NANOSECONDS_A_SECOND),
                             .tv_nsec = (long)(nanoseconds % NANOSECONDS_A_SECOND)};
}

#endif
