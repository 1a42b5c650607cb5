/* Another preload, whose constructor keeps those that come after it waiting. */
#include <time.h>

__attribute__((constructor)) static void take_time(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
}
