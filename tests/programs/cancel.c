/* A thread blocked in recv is cancelled, `times` times; then ten receives. With timeout=S the socket has SO_RCVTIMEO,
 * and a signal first moves the receive on to its retry. */
#include "victim.h"

#include <pthread.h>

static int fds[2];
static volatile long tid;
static long cleaned, returned;

static void clean_up(void *argument)
{
    (void)argument;
    cleaned++;
}

static void *receive(void *argument)
{
    char byte;
    (void)argument;
    pthread_cleanup_push(clean_up, NULL);
    tid = gettid_now();
    recv(fds[0], &byte, 1, 0);
    returned++;
    pthread_cleanup_pop(0);
    return NULL;
}

static void on_signal(int signal)
{
    (void)signal;
}

static void wait_for_thread(int where)
{
    char path[64];
    while (tid == 0)
        sched_yield();
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", tid);
    wait_until_blocked(path, where);
}

int main(int argc, char **argv)
{
    (void)argc;
    long times = number(argv, "times", 10000), cancelled = 0, limit = number(argv, "timeout", 0);
    struct timeval timeout = {.tv_sec = limit};
    uint64_t slowest = 0;
    pair(SOCK_STREAM, fds);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0, "SO_RCVTIMEO");
    handle(SIGUSR1, on_signal, 0);
    for (long i = 0; i < times; i++) {
        pthread_t thread;
        void *result;
        tid = 0;
        must(pthread_create(&thread, NULL, receive, NULL) == 0, "pthread_create");
        wait_for_thread(IN_RECEIVE);
        if (limit != 0) {
            pthread_kill(thread, SIGUSR1);
            wait_for_thread(IN_WAIT);
        }
        uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
        errno = pthread_cancel(thread); /* EAGAIN: others of this user have as many signals queued as there may be */
        must(errno == 0, "pthread_cancel");
        pthread_join(thread, &result);
        uint64_t took = nanoseconds(CLOCK_MONOTONIC) - begin;
        slowest = took > slowest ? took : slowest;
        cancelled += result == PTHREAD_CANCELED;
        if (i % 1000 == 0) /* the harness takes who is silent for a minute for dead */
            say("alive", i);
    }
    say("cancelled", cancelled);
    say("cleaned", cleaned);
    say("returned", returned);
    say("slowest_us", (long long)slowest / 1000);
    say("received", exchange(fds, 10));
    return 0;
}
