/* A server that SIGTERM ends by a flag: `while (!stop) recv`. A child sends it SIGTERM while it waits, and, where it
 * waits on, three bytes, one by one. Says how many bytes it received before it saw the flag. */
#include "settled.h"

#include <sys/wait.h>

static struct progress *progress;
static volatile sig_atomic_t stop;

static void on_term(int signal)
{
    (void)signal;
    stop = 1;
    progress->handled++;
}

static void interrupt(int peer, pid_t server)
{
    int file = open_syscall_file(server);
    AWAIT(is_blocked(file), "the receive");
    must(kill(server, SIGTERM) == 0, "kill");
    AWAIT(progress->handled != 0, "the handler");
    for (int i = 0; i < 3; i++) {
        AWAIT(progress->returned != 0 || is_blocked(file), "the end of the interruption");
        if (progress->returned == 0)
            must(send(peer, "x", 1, MSG_NOSIGNAL) == 1, "send");
        AWAIT(progress->returned != 0, "the end of the server");
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    setpgid(0, 0);
    progress = shared_progress();
    tcp_pair(fds, NULL);
    struct timeval limit = {.tv_sec = number(argv, "timeout", 0)};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    pid_t server = getpid(), child = fork();
    if (child == 0) {
        interrupt(fds[1], server);
        _exit(0);
    }
    handle(SIGTERM, on_term, 0);
    long bytes = 0;
    while (!stop) {
        char byte;
        if (recv(fds[0], &byte, 1, 0) == 1)
            bytes++;
    }
    progress->returned++;
    say("bytes", bytes);
    must(waitpid(child, NULL, 0) == child, "wait");
    return 0;
}
