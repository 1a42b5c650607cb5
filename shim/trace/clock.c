#include "clock.h"

#include <sys/syscall.h>
#include <unistd.h>

static int ask_kernel(clockid_t clock, struct timespec *now)
{
    return (int)syscall(SYS_clock_gettime, clock, now);
}

_Atomic(clock_function *) clock_source = ask_kernel;
