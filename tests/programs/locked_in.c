/* A receive under a ticking SIGALRM, and under a filter that kills for every system call but the few of its own.
 *   timeout=MS  SO_RCVTIMEO, 0 for none      send-at=N  the Nth tick sends a byte
 *   by=prctl|syscall|seccomp  how the filter is installed */
#include "allow.h"
#include "ticks.h"

#include <sys/prctl.h>

static int fds[2];
static long send_at;
static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == send_at)
        must(write(fds[1], "x", 1) == 1, "write");
    errno = error;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct sock_filter own[] = {
        LOAD_NUMBER, ALLOW_SOCKETS, ALLOW(write), ALLOW_RETURN, ALLOW(exit_group), ELSE_KILL,
    };
    struct sock_fprog program = {sizeof own / sizeof own[0], own};
    long timeout = number(argv, "timeout", 0);
    struct timeval limit = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
    send_at = number(argv, "send-at", 3);
    pair(SOCK_STREAM, fds);
    if (timeout != 0)
        must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    struct sigaction action = {.sa_handler = on_tick}, *volatile same = &action;
    must(sigaction(SIGALRM, &action, same) == 0, "sigaction"); /* in and out in one place, as it may be */
    begin_ticks(20000);                                        /* from a thread that the filter is not for */
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    const char *by = option(argv, "by", "prctl");
    if (strcmp(by, "prctl") == 0)
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    else if (strcmp(by, "syscall") == 0)
        must(syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    else
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
    char byte;
    errno = 0;
    ssize_t result = recv(fds[0], &byte, 1, 0);
    int error = errno;
    say("result", result);
    say("errno", result < 0 ? error : 0);
    _exit(0);
}
