/* A handler that leaves a receive by siglongjmp while its retry gathers for MSG_WAITALL: the first tick interrupts, the
 * second brings some of the data, and the fifth leaves. The thread can then be cancelled as before. */
#include "victim.h"

#include <pthread.h>
#include <setjmp.h>

static sigjmp_buf back;
static int fds[2];

static void on_tick(int signal)
{
    static int ticks;
    (void)signal;
    if (++ticks == 2)
        must(send(fds[1], "x", 1, 0) == 1, "send");
    if (ticks == 5)
        siglongjmp(back, 1);
}

int main(void)
{
    struct timeval limit = {.tv_sec = 60};
    char buffer[2];
    int state = -1;
    pair(SOCK_STREAM, fds);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    if (sigsetjmp(back, 1) == 0) {
        tick(50000);
        say("returned", recv(fds[0], buffer, sizeof buffer, MSG_WAITALL));
        return 1;
    }
    tick(0);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    say("enabled", state == PTHREAD_CANCEL_ENABLE);
    return 0;
}
