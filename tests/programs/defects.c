/* A program with a defect that a sanitizer reports, in or right behind a receive; `none` has none, and `handler` needs
 * its handler to run while it waits. Compiled by tests/real/real_sanitizers.py, once for each sanitizer. */
#include "victim.h"

#include <limits.h>

static int fds[2];
static long received;
static volatile int shared; /* volatile is no synchronisation */

static void show_none(void)
{
    say("received", exchange(fds, 20));
}

/* 16 bytes into a buffer of 10. */
static void show_overflow(void)
{
    char *buffer = malloc(10);
    volatile size_t length = 16;
    say("received", exchange(fds, 20));
    must(send(fds[1], "0123456789abcdef", 16, 0) == 16, "send");
    must(recv(fds[0], buffer, length, 0) == 16, "recv");
    free(buffer);
}

static void *count_received(void *own)
{
    char byte;
    for (int i = 0; i < 10; i++) {
        must(recv(*(int *)own, &byte, 1, 0) == 1, "recv");
        shared = shared + 1;
    }
    return NULL;
}

static void show_race(void)
{
    pthread_t threads[2];
    int others[2];
    pair(SOCK_STREAM, others);
    must(send(fds[1], "0123456789", 10, 0) == 10 && send(others[1], "0123456789", 10, 0) == 10, "send");
    must(pthread_create(&threads[0], NULL, count_received, &fds[0]) == 0, "pthread_create");
    must(pthread_create(&threads[1], NULL, count_received, &others[0]) == 0, "pthread_create");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    say("received", 20);
}

/* Out of line and overwritten, so that nothing of it is left in a register. */
static __attribute__((noinline)) void lose(void)
{
    char *volatile buffer = malloc(100);
    must(send(fds[1], "x", 1, 0) == 1 && recv(fds[0], buffer, 100, 0) == 1, "recv");
    buffer = NULL;
}

static void show_leak(void)
{
    say("received", exchange(fds, 19) + 1);
    lose();
}

static void show_undefined(void)
{
    unsigned char byte = 1;
    say("received", exchange(fds, 19) + 1);
    must(send(fds[1], &byte, 1, 0) == 1 && recv(fds[0], &byte, 1, 0) == 1, "recv");
    volatile int most = INT_MAX;
    most = most + byte;
}

static volatile sig_atomic_t ticks;

/* Every third time, so that the receive goes on after two interruptions. */
static void answer(int signal)
{
    if (++ticks % 3 == 0)
        must(signal == SIGALRM && send(fds[1], "x", 1, 0) == 1, "send");
}

/* Waits for what its handler sends: nothing else ends the receive. */
static void show_handler(void)
{
    char byte;
    handle(SIGALRM, answer, 0);
    tick(2000);
    for (int i = 0; i < 20; i++) {
        ssize_t result;
        do {
            result = recv(fds[0], &byte, 1, 0);
        } while (result < 0 && errno == EINTR);
        received += result;
    }
    tick(0);
    say("received", received);
}

static void show_handler_timed(void)
{
    struct timeval limit = {.tv_sec = 60};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    show_handler();
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"none", show_none},
                                      {"overflow", show_overflow},
                                      {"race", show_race},
                                      {"leak", show_leak},
                                      {"handler", show_handler},
                                      {"undefined", show_undefined},
                                      {"handler-timed", show_handler_timed}};
    pair(SOCK_STREAM, fds);
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
