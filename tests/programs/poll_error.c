/* A receive with SO_RCVTIMEO on a UDP socket whose error queue is never emptied: poll says POLLERR at once, always. */
#include "ticks.h"

static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    ticks++;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct sockaddr_storage nobody;
    socklen_t length;
    int on = 1;
    refusing(SOCK_DGRAM, &nobody, &length);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    must(setsockopt(fd, SOL_IP, IP_RECVERR, &on, sizeof on) == 0, "IP_RECVERR");
    must(connect(fd, (struct sockaddr *)&nobody, length) == 0, "connect");

    char byte = 'x';
    must(send(fd, &byte, 1, 0) == 1, "send");
    must(recv(fd, &byte, 1, 0) == -1 && errno == ECONNREFUSED, "refusal"); /* the queued copy stays */

    long timeout = number(argv, "timeout", 300);
    struct timeval limit = {.tv_usec = timeout * 1000};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    begin_ticks(number(argv, "tick", 20) * 1000);
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    ssize_t result = recv(fd, &byte, 1, 0);
    int error = errno;
    uint64_t end = nanoseconds(CLOCK_MONOTONIC);
    end_ticks();
    say("elapsed_us", (long long)(end - begin) / 1000);
    say("result", result);
    say("errno", error);
    say("ticks", ticks);
    return 0;
}
