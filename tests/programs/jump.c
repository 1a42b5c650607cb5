/* A handler that leaves a blocked receive by siglongjmp, `times` times; then ten receives that are let be. With
 * retried=1 the socket has SO_RCVTIMEO and the handler leaves at its second call only: what it leaves is a retry. */
#include "victim.h"

#include <setjmp.h>

static sigjmp_buf back;
static volatile sig_atomic_t calls_until_jump;

static void on_tick(int signal)
{
    static const struct itimerval never;
    (void)signal;
    if (--calls_until_jump > 0)
        return;
    setitimer(ITIMER_REAL, &never, NULL);
    siglongjmp(back, 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    long times = number(argv, "times", 10000);
    volatile long jumped = 0, returned = 0;
    pair(SOCK_STREAM, fds);
    bool retried = number(argv, "retried", 0) != 0;
    struct timeval limit = {.tv_sec = retried ? 60 : 0};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    while (jumped < times) {
        if (sigsetjmp(back, 1) == 0) {
            char byte;
            calls_until_jump = retried ? 2 : 1;
            tick(50);
            recv(fds[0], &byte, 1, 0);
            returned++;
        } else {
            jumped++;
        }
    }
    say("jumped", jumped);
    say("returned", returned);
    say("received", exchange(fds, 10));
    return 0;
}
