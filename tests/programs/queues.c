/* Receives that ask for something else than the next data (argument 1), and then for that. */
#include "victim.h"

#include <netinet/ip.h>

static void out_of_band(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    must(send(fds[1], "ab", 2, 0) == 2 && send(fds[1], "!", 1, MSG_OOB) == 1, "send");
    wait_for(fds[0], POLLPRI);
    see(fds[0], 1, MSG_OOB);
    see(fds[0], 1, MSG_OOB);
    see(fds[0], 16, 0);
    close(fds[1]);
    see(fds[0], 16, 0);
}

/* A datagram socket to a port where nobody listens, which has sent `length` bytes and been told so. */
static int refused(size_t length, bool queue)
{
    int on = queue;
    struct sockaddr_storage nobody;
    socklen_t size;
    refusing(SOCK_DGRAM, &nobody, &size);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    must(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0, "IP_RECVERR");
    must(connect(fd, (struct sockaddr *)&nobody, size) == 0, "connect");
    must(send(fd, "xyz", length, 0) == (ssize_t)length, "send");
    wait_for(fd, POLLERR);
    return fd;
}

/* The datagram that could not be delivered comes back with the error; then there is none, and no error either. */
static void error_queue(void)
{
    int fd = refused(3, true);
    see(fd, 16, MSG_ERRQUEUE);
    see(fd, 16, MSG_ERRQUEUE);
    see(fd, 16, MSG_DONTWAIT);
}

/* A message of the queue that is no datagram's end: it has no bytes. */
static void empty_error_queue(void)
{
    int fd = refused(0, true);
    see(fd, 16, MSG_ERRQUEUE);
    see(fd, 16, MSG_ERRQUEUE);
}

/* The error is told by the next receive of data, once. */
static void error_told(void)
{
    int fd = refused(3, true);
    see(fd, 16, 0);
    see(fd, 16, MSG_DONTWAIT);
}

static void error_queue_of_a_stream(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    see(fds[0], 16, MSG_ERRQUEUE);
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    see(fds[0], 16, MSG_ERRQUEUE);
    see(fds[0], 16, 0);
}

static void nothing_asked_for(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    wait_for(fds[0], POLLIN);
    see(fds[0], 0, 0);
    see(fds[0], 0, MSG_PEEK);
    see(fds[0], 16, 0);
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    see(fds[0], 0, 0);
    see(fds[0], 16, MSG_PEEK);
    see(fds[0], 16, 0);
}

static void peeked(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    wait_for(fds[0], POLLIN);
    see(fds[0], 16, MSG_PEEK);
    see(fds[0], 2, 0);
    see(fds[0], 16, 0);
}

/* Of datagrams, an end is none. */
static void empty_datagrams(void)
{
    int fds[2];
    pair(SOCK_DGRAM, fds);
    must(send(fds[1], "", 0, 0) == 0 && send(fds[1], "abc", 3, 0) == 3 && send(fds[1], "", 0, 0) == 0, "send");
    see(fds[0], 16, MSG_PEEK);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    see(fds[0], 0, 0);
}

static const struct way ways[] = {
    {"out-of-band", out_of_band},
    {"error-queue", error_queue},
    {"empty-error-queue", empty_error_queue},
    {"error-told", error_told},
    {"error-queue-of-a-stream", error_queue_of_a_stream},
    {"nothing-asked-for", nothing_asked_for},
    {"peeked", peeked},
    {"empty-datagrams", empty_datagrams},
};

int main(int argc, char **argv)
{
    (void)argc;
    stay_on_this_cpu();
    dprintf(STDOUT_FILENO, "seen");
    int status = show_way(ways, sizeof ways / sizeof ways[0], argv);
    dprintf(STDOUT_FILENO, "\n");
    return status;
}
