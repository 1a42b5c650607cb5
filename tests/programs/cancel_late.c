/* Threads that are cancelled (by lower_cancel.so) as their receive returns, one for each kind: what the receive took
 * must reach the thread, which acts on the cancellation only afterwards. With call=CALL a storm: 200 threads, each
 * cancelled as that call returns what came over one connection, and one that is told of its end. (Cancelled at any time
 * of their own, threads would lose data to glibc's own receives: its bug 12683.) */
#include "by_call.h"
#include "ticks.h"

#include <pthread.h>

static int peer;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    /* Past libc, whose send is a cancellation point: the one that a handler makes is its own affair. */
    must(syscall(SYS_sendto, peer, "x", 1, 0, NULL, 0) == 1, "send");
    errno = error;
}

struct receipt {
    const char *call;
    int fd;
    size_t length;
    int flags;
    ssize_t result;
};

/* The ticks come to this thread alone. */
static void *receive(void *argument)
{
    struct receipt *receipt = argument;
    char buffer[16];
    int state;
    begin_ticks(receipt->flags == MSG_WAITALL ? 20000 : 0);
    receipt->result = receive_by(receipt->call, receipt->fd, buffer, receipt->length, receipt->flags, NULL, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    end_ticks();
    pthread_setcancelstate(state, NULL);
    pthread_testcancel();
    return NULL;
}

static ssize_t receive_cancelled(const char *call, int fd, size_t length, int flags)
{
    pthread_t thread;
    void *result;
    struct receipt receipt = {call, fd, length, flags, -2};
    must(pthread_create(&thread, NULL, receive, &receipt) == 0, "pthread_create");
    pthread_join(thread, &result);
    must(result == PTHREAD_CANCELED, "a cancellation after the receive");
    return receipt.result;
}

static void try_receive(const char *kind, int fd, size_t length, int flags)
{
    say(kind, receive_cancelled("recv", fd, length, flags));
}

static void storm(const char *call)
{
    int fds[2];
    long long sent = 0, received = 0;
    tcp_pair(fds, NULL);
    for (size_t i = 0; i < 200; i++) {
        size_t size = 1 + i % 7;
        must(send(fds[1], "1234567", size, 0) == (ssize_t)size, "send");
        wait_for(fds[0], POLLIN);
        sent += (long long)size;
        received += receive_cancelled(call, fds[0], 16, 0);
    }
    say("sent", sent);
    say("received", received);
    close(fds[1]);
    wait_for(fds[0], POLLRDHUP);
    say("end", receive_cancelled(call, fds[0], 16, 0));
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *call = option(argv, "call", NULL);
    if (call != NULL) {
        storm(call);
        return 0;
    }
    int stream[2], packets[2];
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL); /* begin_ticks() unblocks it in the thread that asks for them */
    pair(SOCK_STREAM, stream);
    pair(SOCK_SEQPACKET, packets);
    must(send(stream[1], "abc", 3, 0) == 3, "send");
    try_receive("data", stream[0], 3, 0);
    must(send(packets[1], "", 0, 0) == 0, "send");
    try_receive("empty_packet", packets[0], 3, 0);
    close(packets[1]);
    try_receive("seqpacket_eof", packets[0], 3, 0);

    /* Each tick brings a byte; the first interrupts, so that the rest is gathered by the retry. */
    struct timeval limit = {.tv_sec = 60};
    must(setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    peer = stream[1];
    handle(SIGALRM, on_tick, 0);
    try_receive("gathered", stream[0], 5, MSG_WAITALL);
    return 0;
}
