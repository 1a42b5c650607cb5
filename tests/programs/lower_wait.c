/* Another preload, whose waits have a time of their own: they end ten times as late. */
#include "victim.h"

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *limit, const sigset_t *mask)
{
    struct timespec late = {0};
    if (limit != NULL) {
        late.tv_sec = limit->tv_sec * 10 + limit->tv_nsec / 100000000;
        late.tv_nsec = limit->tv_nsec % 100000000 * 10;
    }
    return (int)syscall(SYS_ppoll, fds, count, limit != NULL ? &late : NULL, mask, sizeof(uint64_t));
}
