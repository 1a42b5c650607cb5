/* A receive with SO_RCVTIMEO (timeout=MS) that is stopped and continued while it blocks: the kernel then answers EINTR,
 * though no handler ran; with handler=1 there is one, for SIGTERM. The first process is the controller, the second
 * receives; `stopped` is 0 where the time-out was over before the controller came to it. */
#include "settled.h"

#include <sys/wait.h>

static int receiver(int fd)
{
    char byte;
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    ssize_t result = recv(fd, &byte, 1, 0);
    int error = errno;
    say("elapsed_us", (long long)(nanoseconds(CLOCK_MONOTONIC) - begin) / 1000);
    say("result", result);
    say("errno", result < 0 ? error : 0);
    return 0;
}

static void never_called(int signal)
{
    _exit(signal);
}

static bool is_over(pid_t child)
{
    siginfo_t end = {0};
    return waitid(P_PID, (id_t)child, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid == child;
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    pair(SOCK_STREAM, fds);
    long timeout = number(argv, "timeout", 0);
    struct timeval limit = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    if (number(argv, "handler", 0) != 0)
        handle(SIGTERM, never_called, 0);
    pid_t child = fork();
    if (child == 0)
        _exit(receiver(fds[0]));

    int status, file = open_syscall_file(child);
    while (!is_blocked(file) && !is_over(child))
        sched_yield();
    kill(child, SIGSTOP);
    must(waitpid(child, &status, WUNTRACED) == child, "stop");
    say("stopped", WIFSTOPPED(status));
    if (!WIFSTOPPED(status))
        return WEXITSTATUS(status);
    kill(child, SIGCONT);
    if (number(argv, "send", 0) != 0)
        must(write(fds[1], "x", 1) == 1, "write");
    must(waitpid(child, &status, 0) == child, "wait");
    return WEXITSTATUS(status);
}
