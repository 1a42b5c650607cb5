/* One way for a receive to bring no data (argument 1), then what the same descriptor says next. */
#include "victim.h"

static char buffer[16];

static void receive(int fd, size_t length, int flags)
{
    errno = 0;
    ssize_t result = recv(fd, buffer, length, flags);
    dprintf(STDOUT_FILENO, "%zd/%d ", result, result < 0 ? errno : 0);
}

static void eof(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    close(fds[1]);
    for (int i = 0; i < 3; i++)
        receive(fds[0], sizeof buffer, 0);
}

static void peeked(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    close(fds[1]);
    receive(fds[0], sizeof buffer, MSG_PEEK);
    receive(fds[0], sizeof buffer, 0);
}

static void reset(void)
{
    int fds[2];
    struct linger at_once = {1, 0};
    tcp_pair(fds, NULL);
    must(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0, "SO_LINGER");
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    receive(fds[0], sizeof buffer, 0);
    receive(fds[0], sizeof buffer, 0);
}

static void empty_datagram(void)
{
    struct sockaddr_storage own;
    socklen_t length;
    int fd = bound(AF_INET, SOCK_DGRAM, &own, &length);
    for (int i = 0; i < 2; i++) {
        must(sendto(fd, buffer, 0, 0, (struct sockaddr *)&own, length) == 0, "sendto");
        receive(fd, sizeof buffer, 0);
    }
}

static void zero_request(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    receive(fds[0], 0, 0);
    receive(fds[0], sizeof buffer, 0);
}

static void seqpacket(void)
{
    int fds[2];
    pair(SOCK_SEQPACKET, fds);
    must(send(fds[1], buffer, 0, 0) == 0, "send");
    receive(fds[0], sizeof buffer, 0);
    close(fds[1]);
    receive(fds[0], sizeof buffer, 0);
    receive(fds[0], sizeof buffer, 0);
}

static void unix_stream(void)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    close(fds[1]);
    receive(fds[0], sizeof buffer, 0);
}

/* The descriptor of a connection that ended is used anew: that one ends too. */
static void reused(void)
{
    for (int i = 0; i < 2; i++) {
        int fds[2];
        pair(SOCK_STREAM, fds);
        close(fds[1]);
        receive(fds[0], sizeof buffer, 0);
        close(fds[0]);
        say("fd", fds[0]);
    }
}

static void refused(void)
{
    struct sockaddr_storage nobody;
    socklen_t length;
    refusing(SOCK_DGRAM, &nobody, &length);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    must(connect(fd, (struct sockaddr *)&nobody, length) == 0, "connect");
    must(send(fd, buffer, 1, 0) == 1, "send");
    receive(fd, sizeof buffer, 0);
}

static void misused(void)
{
    int fds[2];
    receive(socket(AF_INET, SOCK_STREAM, 0), sizeof buffer, 0);
    receive(-1, sizeof buffer, 0);
    receive(STDOUT_FILENO, sizeof buffer, 0);
    pair(SOCK_STREAM, fds);
    must(send(fds[1], buffer, 1, 0) == 1, "send");
    errno = 0;
    ssize_t result = recv(fds[0], (void *)8, 1, 0);
    dprintf(STDOUT_FILENO, "%zd/%d ", result, errno);
    receive(fds[0], sizeof buffer, MSG_OOB);
}

static void would_block(void)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    receive(fds[0], sizeof buffer, MSG_DONTWAIT);
}

/* A datagram longer than the buffer: MSG_TRUNC tells the real length. */
static void truncated(void)
{
    int fds[2];
    pair(SOCK_DGRAM, fds);
    must(send(fds[1], buffer, sizeof buffer, 0) == sizeof buffer, "send");
    receive(fds[0], 4, MSG_TRUNC);
}

static const struct {
    const char *name;
    void (*show)(void);
} ways[] = {
    {"eof", eof},
    {"peeked", peeked},
    {"reset", reset},
    {"empty-datagram", empty_datagram},
    {"zero-request", zero_request},
    {"seqpacket", seqpacket},
    {"unix-stream", unix_stream},
    {"reused", reused},
    {"refused", refused},
    {"misused", misused},
    {"would-block", would_block},
    {"truncated", truncated},
};

int main(int argc, char **argv)
{
    stay_on_this_cpu();
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].show();
            return 0;
        }
    }
    return 64;
}
