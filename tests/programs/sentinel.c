/* What errno is after receives that succeed: it was 4242 before each. */
#include "ticks.h"

static int peer;

static void on_tick(int signal)
{
    static int ticks;
    (void)signal;
    int error = errno;
    if (++ticks % 5 == 0)
        must(write(peer, "x", 1) == 1, "write");
    errno = error;
}

static void check(const char *key, ssize_t result, ssize_t expected)
{
    int error = errno;
    must(result == expected, key);
    say(key, error);
    errno = 4242;
}

int main(void)
{
    char buffer[8];
    int stream[2], packets[2];
    pair(SOCK_STREAM, stream);
    pair(SOCK_SEQPACKET, packets);
    peer = stream[1];

    must(send(stream[1], "ab", 2, 0) == 2, "send");
    errno = 4242;
    check("recv", recv(stream[0], buffer, 1, 0), 1);
    check("recvfrom", recvfrom(stream[0], buffer, 1, 0, NULL, NULL), 1);

    handle(SIGALRM, on_tick, 0);
    begin_ticks(2000);
    errno = 4242;
    check("retried", recv(stream[0], buffer, 1, 0), 1);
    struct timeval limit = {.tv_sec = 60};
    must(setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    errno = 4242;
    check("retried_with_timeout", recv(stream[0], buffer, 1, 0), 1);
    end_ticks();
    /* A tick may have come late, and have sent a byte more. */
    while (recv(stream[0], buffer, 1, MSG_DONTWAIT) == 1)
        ;

    close(stream[1]);
    close(packets[1]);
    errno = 4242;
    check("eof", recv(stream[0], buffer, 1, 0), 0);
    check("seqpacket_eof", recv(packets[0], buffer, 1, 0), 0);
    return 0;
}
