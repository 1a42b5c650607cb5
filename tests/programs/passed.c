/* A descriptor's number is used anew in a way that no call tells: a stream that ended is closed, and a datagram socket
 * with SO_RCVTIMEO (200 ms), passed over a unix socket, gets its number. An empty datagram, then a receive that times
 * out under a tick of 20 ms; at the 50th tick data comes, should it not have. */
#include "victim.h"

static int sender;

static void on_tick(int signal)
{
    static int ticks;
    (void)signal;
    int error = errno;
    if (++ticks == 50)
        must(send(sender, "x", 1, 0) == 1, "send");
    errno = error;
}

static void pass(int carrier, int fd)
{
    char byte = 'f';
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
    must(sendmsg(carrier, &message, 0) == 1, "sendmsg");
}

static int take(int carrier)
{
    char byte;
    int fd;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    must(recvmsg(carrier, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL, "recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

int main(void)
{
    int carrier[2], datagrams[2], stream[2];
    char byte;
    pair(SOCK_STREAM, carrier);
    pair(SOCK_DGRAM, datagrams);
    pair(SOCK_STREAM, stream);
    struct timeval limit = {.tv_usec = 200000};
    must(setsockopt(datagrams[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    sender = datagrams[1];

    close(stream[1]);
    must(recv(stream[0], &byte, 1, 0) == 0, "eof");
    close(stream[0]);
    pass(carrier[1], datagrams[0]);
    int fd = take(carrier[0]);
    must(fd == stream[0], "the number is used anew");

    must(send(sender, "", 0, 0) == 0, "send");
    say("empty", recv(fd, &byte, 1, 0));
    handle(SIGALRM, on_tick, 0);
    tick(20000);
    errno = 0;
    ssize_t result = recv(fd, &byte, 1, 0);
    int error = errno;
    tick(0);
    say("result", result);
    say("errno", error);
    return 0;
}
