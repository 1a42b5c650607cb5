/* Two thousand different handlers (or as many as `handlers` says), more than anybody keeps room for; each is installed,
 * run, read back, and put in its place again by the action that was read. */
#include "ticks.h"

static volatile int ran;

#define HANDLER(n)                                                                                                     \
    static void handler_##n(int signal)                                                                                \
    {                                                                                                                  \
        (void)signal;                                                                                                  \
        ran = n;                                                                                                       \
    }
#define NAME(n)   handler_##n,
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define HUNDRED(X, n)                                                                                                  \
    TEN(X, n##0)                                                                                                       \
    TEN(X, n##1) TEN(X, n##2) TEN(X, n##3) TEN(X, n##4) TEN(X, n##5) TEN(X, n##6) TEN(X, n##7) TEN(X, n##8) TEN(X, n##9)
#define THOUSAND(X, n)                                                                                                 \
    HUNDRED(X, n##0)                                                                                                   \
    HUNDRED(X, n##1)                                                                                                   \
    HUNDRED(X, n##2)                                                                                                   \
    HUNDRED(X, n##3)                                                                                                   \
    HUNDRED(X, n##4) HUNDRED(X, n##5) HUNDRED(X, n##6) HUNDRED(X, n##7) HUNDRED(X, n##8) HUNDRED(X, n##9)

THOUSAND(HANDLER, 1)
THOUSAND(HANDLER, 2)
static void (*const handlers[])(int) = {THOUSAND(NAME, 1) THOUSAND(NAME, 2)};
enum { HANDLERS = sizeof handlers / sizeof handlers[0], FIRST = 1000 };

static long wrong;

static void expect(int handler)
{
    ran = 0;
    raise(SIGUSR1);
    wrong += ran != FIRST + handler;
}

static int fds[2];
static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    if (++ticks == 3)
        must(write(fds[1], "x", 1) == 1, "write");
}

/* After all of them one more, which interrupts a receive: with SO_RCVTIMEO, which others might have interrupted. */
static void be_interrupted(const char *timeout)
{
    char byte;
    struct timeval limit = {.tv_sec = strtol(timeout, NULL, 10)};
    pair(SOCK_STREAM, fds);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    begin_ticks(20000);
    errno = 0;
    ssize_t result = recv(fds[0], &byte, 1, 0);
    say("errno", result < 0 ? errno : 0);
    end_ticks();
}

int main(int argc, char **argv)
{
    (void)argc;
    static struct sigaction read[HANDLERS];
    const int count = (int)number(argv, "handlers", HANDLERS);
    say("handlers", count);
    for (int i = 0; i < count; i++) {
        struct sigaction action = {.sa_flags = i % 2 ? SA_RESTART : 0}, old;
        action.sa_handler = handlers[i];
        must(sigaction(SIGUSR1, &action, &old) == 0, "sigaction");
        wrong +=
            i > 0 && (old.sa_handler != handlers[i - 1] || (old.sa_flags & SA_RESTART) != (i % 2 ? 0 : SA_RESTART));
        must(sigaction(SIGUSR1, NULL, &read[i]) == 0, "sigaction");
        wrong += read[i].sa_handler != handlers[i];
        expect(i);
    }
    say("wrong", wrong);
    for (int i = 0; i < count; i++) {
        must(sigaction(SIGUSR1, &read[i], NULL) == 0, "sigaction");
        expect(i);
    }
    say("wrong_after", wrong);
    for (int i = 0; i < count; i++) {
        sighandler_t old = signal(SIGUSR1, handlers[i]);
        wrong += old != handlers[i == 0 ? count - 1 : i - 1];
        expect(i);
    }
    say("wrong_at_last", wrong);
    const char *timeout = option(argv, "timeout", NULL);
    if (timeout != NULL)
        be_interrupted(timeout);
    return 0;
}
