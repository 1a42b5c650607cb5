/* Another preload, whose constructor receives: before or after ours has run, as LD_PRELOAD orders them. */
#include "victim.h"

__attribute__((constructor)) static void receive_early(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return;
    long received = exchange(fds, 5);
    int copy = dup(fds[0]);
    say("early", received);
    say("early_copy", copy >= 0);
    close(copy);
    close(fds[0]);
    close(fds[1]);
}
