/* A thread with the smallest stack there may be receives: by each call, with an address where there may be one; with
 * interrupted=1 once after a timer has interrupted it, under an SO_RCVTIMEO; and the end. */
#include "by_call.h"

#include <limits.h>

static int stream[2], datagrams;
static struct sockaddr_storage own;
static socklen_t own_length;
static long received;
static volatile sig_atomic_t ticks;
static volatile long receiver; /* that is to be interrupted */

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == 3)
        must(write(stream[1], "x", 1) == 1, "write");
    errno = error;
}

static void *receive(void *argument)
{
    static const char *const calls[] = {"recv", "recvfrom", "recvmsg", "recvmmsg", "read", "readv"};
    char byte;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        must(sendto(datagrams, "x", 1, 0, (struct sockaddr *)&own, own_length) == 1, "sendto");
        wait_for(datagrams, POLLIN);
        received += receive_by(calls[i], datagrams, &byte, 1, 0, &from, &length);
        must(send(stream[1], "x", 1, 0) == 1, "send");
        received += receive_by(calls[i], stream[0], &byte, 1, 0, NULL, NULL);
    }
    if (*(bool *)argument) {
        receiver = gettid_now();
        received += recv(stream[0], &byte, 1, 0);
    }
    must(shutdown(stream[1], SHUT_WR) == 0, "shutdown");
    received += recv(stream[0], &byte, 1, 0);
    return NULL;
}

/* Three, each of which interrupts it. */
static void send_ticks(pthread_t thread)
{
    char path[64];
    while (receiver == 0)
        sched_yield();
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", receiver);
    for (int i = 1; i <= 3; i++) {
        wait_until_blocked(path, IN_RECEIVE | IN_WAIT);
        must(pthread_kill(thread, SIGALRM) == 0, "pthread_kill");
        while (ticks != i)
            sched_yield();
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    bool interrupted = number(argv, "interrupted", 0) != 0;
    pthread_t thread;
    pthread_attr_t small;
    struct timeval limit = {.tv_sec = 60};
    pthread_attr_init(&small);
    must(pthread_attr_setstacksize(&small, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0, "stack size");
    tcp_pair(stream, NULL);
    must(setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    datagrams = bound(AF_INET6, SOCK_DGRAM, &own, &own_length);
    handle(SIGALRM, on_tick, 0);
    must(pthread_create(&thread, &small, receive, &interrupted) == 0, "pthread_create");
    if (interrupted)
        send_ticks(thread);
    pthread_join(thread, NULL);
    say("received", received);
    return 0;
}
