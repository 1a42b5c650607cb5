/* What errno is after receives that succeed, and after the other calls that a connection is made and closed by: it was
 * 4242 before each. */
#include "ticks.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

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

static void *nothing(void *unused)
{
    return unused;
}

static void check(const char *key, ssize_t result, ssize_t expected)
{
    int error = errno;
    must(result == expected, key);
    say(key, error);
    errno = 4242;
}

static int check_fd(const char *key, int fd)
{
    check(key, fd >= 0, 1);
    return fd;
}

static void check_others(void)
{
    struct sockaddr_storage address;
    socklen_t length, size = sizeof(int);
    int fds[2], error, listener = bound(AF_INET, SOCK_STREAM, &address, &length);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    must(listen(listener, 2) == 0, "listen");
    errno = 4242;
    int client = check_fd("socket", socket(AF_INET, SOCK_STREAM, 0));
    check("connect", connect(client, (struct sockaddr *)&address, length), 0);
    int accepted = check_fd("accept", accept(listener, NULL, NULL));
    check("getsockopt", getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    check("setsockopt", setsockopt(client, SOL_SOCKET, SO_RCVLOWAT, &(int){1}, size), 0);
    int copy = check_fd("dup", dup(client));
    check_fd("dup2", dup2(accepted, copy));
    check_fd("dup3", dup3(accepted, copy, O_CLOEXEC));
    check_fd("F_DUPFD", fcntl(accepted, F_DUPFD, 50));
    check("F_GETFL", fcntl(accepted, F_GETFL) >= 0, 1);
    check("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    int epoll = epoll_create1(0);
    must(epoll >= 0, "epoll_create1");
    errno = 4242;
    check("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event), 0);
    check("shutdown", shutdown(client, SHUT_WR), 0);
    check("close", close(client), 0);
    const int closed = close_range((unsigned)fds[0], (unsigned)fds[1], 0);
    const bool unknown = closed != 0 && errno == ENOSYS; /* before Linux 5.9, where libc's closefrom has that, too */
    errno = unknown ? 4242 : errno;
    check("close_range", unknown ? 0 : closed, 0);
    FILE *stream = fdopen(accepted, "r");
    must(stream != NULL, "fdopen");
    errno = 4242;
    check("fclose", fclose(stream), 0);
    check("prctl", prctl(PR_GET_DUMPABLE) >= 0, 1);
    check("syscall", syscall(SYS_getpid) == getpid(), 1);
    struct sigaction old;
    check("sigaction", sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_tick}, &old), 0);
    check("signal", signal(SIGUSR1, SIG_IGN) == on_tick, 1);
    pthread_t thread;
    check("pthread_create", pthread_create(&thread, NULL, nothing, NULL), 0);
    pthread_join(thread, NULL);
    closefrom(3);
    say("closefrom", unknown ? 4242 : errno);
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
    check_others();
    return 0;
}
