/* A handler that leaves a blocked receive by siglongjmp, `times` times, with or without SO_RCVTIMEO; then ten receives
 * that are let be. */
#include "victim.h"

#include <setjmp.h>

static sigjmp_buf back;

static void on_tick(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    long times = number(argv, "times", 10000);
    volatile long jumped = 0, returned = 0;
    pair(SOCK_STREAM, fds);
    struct timeval limit = {.tv_sec = number(argv, "timeout", 0)};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    while (jumped < times) {
        if (sigsetjmp(back, 1) == 0) {
            struct itimerval once = {.it_value = {.tv_usec = 50}};
            char byte;
            must(setitimer(ITIMER_REAL, &once, NULL) == 0, "setitimer");
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
