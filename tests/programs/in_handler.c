/* The main thread receives, and so does the handler of a timer that ticks ten thousand times a second, in the midst of
 * whatever the main thread is doing: `burst` times at each tick. Ends after `handled` receives in the handler; with
 * until=FILE once that is there, too. */
#include "victim.h"

static int handlers[2];
static volatile long handled;
static long burst;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    for (long i = 0; i < burst; i++) {
        char byte = 'h';
        if (send(handlers[1], &byte, 1, MSG_DONTWAIT) == 1 && recv(handlers[0], &byte, 1, MSG_DONTWAIT) == 1)
            handled++;
    }
    errno = error;
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    long enough = number(argv, "handled", 5000), received = 0;
    const char *until = option(argv, "until", NULL);
    pair(SOCK_STREAM, fds);
    pair(SOCK_STREAM, handlers);
    handle(SIGALRM, on_tick, SA_RESTART);
    burst = number(argv, "burst", 1);
    tick(100 + 2 * (burst - 1)); /* so that most of the time is the main thread's */
    while (handled < enough || (until != NULL && access(until, F_OK) != 0))
        received += exchange(fds, 100);
    tick(0);
    say("main_fd", fds[0]);
    say("handler_fd", handlers[0]);
    say("main", received);
    say("handler", handled);
    return 0;
}
