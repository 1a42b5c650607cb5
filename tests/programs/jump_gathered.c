/* A handler that leaves a receive by siglongjmp while its retry gathers for MSG_WAITALL. The thread can then be
 * cancelled as before.
 *   way=waiting   the first tick interrupts, the second brings some of the data, and the fifth leaves
 *   way=flooded   the data comes faster than it is gathered from the second tick on, and the fourth leaves: 20 times */
#include "ticks.h"

#include <setjmp.h>

static sigjmp_buf back;
static int fds[2];
static volatile sig_atomic_t ticks;
static bool floods;

static void on_tick(int signal)
{
    (void)signal;
    if (++ticks == 2 && !floods)
        must(send(fds[1], "x", 1, 0) == 1, "send");
    if (ticks == 2 && floods) /* what is flooded hardly ever sleeps */
        tick(3000);
    if (ticks == (floods ? 4 : 5))
        siglongjmp(back, 1);
}

static void *flood(void *unused)
{
    static char block[1 << 18];
    while (ticks < 2)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    while (send(fds[1], block, sizeof block, MSG_NOSIGNAL) > 0)
        ;
    return unused;
}

/* Whether cancellation is enabled after the jump. */
static bool stays_enabled(void *buffer, size_t length)
{
    struct timeval limit = {.tv_sec = 60};
    int state = -1;
    pair(SOCK_STREAM, fds);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    ticks = 0;
    pthread_t thread = floods ? start_undisturbed(flood, NULL) : pthread_self();
    if (sigsetjmp(back, 1) == 0) {
        begin_ticks(floods ? 3000 : 20000);
        say("returned", recv(fds[0], buffer, length, MSG_WAITALL));
        _exit(1);
    }
    tick(0);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    end_ticks();
    close(fds[0]);
    if (floods)
        pthread_join(thread, NULL);
    close(fds[1]);
    return state == PTHREAD_CANCEL_ENABLE;
}

int main(int argc, char **argv)
{
    (void)argc;
    floods = strcmp(option(argv, "way", "waiting"), "flooded") == 0;
    const size_t length = floods ? (size_t)1 << (sizeof(size_t) == 8 ? 31 : 29) : 2;
    void *buffer = malloc(length);
    must(buffer != NULL, "malloc");
    handle(SIGALRM, on_tick, 0);
    int times = floods ? 20 : 1, enabled = 0;
    for (int i = 0; i < times; i++)
        enabled += stays_enabled(buffer, length);
    say("times", times);
    say("enabled", enabled);
    return 0;
}
