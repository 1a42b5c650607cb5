/* A handler that leaves a blocked receive by siglongjmp, `times` times; then ten receives that are let be. With
 * retried=1 the socket has SO_RCVTIMEO and the handler leaves at its second call only: what it leaves is a retry. With
 * then=1 a child interrupts one more receive with SIGUSR1 in the end; its byte comes once that is over. */
#include "settled.h"

#include <setjmp.h>
#include <sys/wait.h>

static sigjmp_buf back;
static volatile sig_atomic_t calls_until_jump;

static void on_tick(int signal)
{
    static const struct itimerval never;
    (void)signal;
    if (--calls_until_jump > 0)
        return;
    setitimer(ITIMER_REAL, &never, NULL);
    siglongjmp(back, 1);
}

static struct progress *progress;

static void on_usr1(int signal)
{
    (void)signal;
    progress->handled++;
}

static void interrupt_one_more(const int fds[2])
{
    setpgid(0, 0);
    progress = shared_progress();
    handle(SIGALRM, SIG_DFL, 0);
    handle(SIGUSR1, on_usr1, 0);
    pid_t receiver = getpid(), child = fork();
    if (child == 0) {
        int file = open_syscall_file(receiver);
        AWAIT(is_blocked(file), "the receive");
        kill(receiver, SIGUSR1);
        AWAIT(progress->handled != 0, "the handler");
        AWAIT(progress->returned != 0 || is_blocked(file), "the end of the interruption");
        must(write(fds[1], "x", 1) == 1, "write");
        _exit(0);
    }
    char byte;
    ssize_t result = recv(fds[0], &byte, 1, 0);
    int error = errno;
    progress->returned++;
    say("errno", result < 0 ? error : 0);
    must(waitpid(child, NULL, 0) == child, "wait");
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    long times = number(argv, "times", 10000);
    volatile long jumped = 0, returned = 0;
    pair(SOCK_STREAM, fds);
    bool retried = number(argv, "retried", 0) != 0;
    struct timeval limit = {.tv_sec = retried ? 60 : 0};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_tick, 0);
    while (jumped < times) {
        if (sigsetjmp(back, 1) == 0) {
            char byte;
            calls_until_jump = retried ? 2 : 1;
            tick(50);
            recv(fds[0], &byte, 1, 0);
            returned++;
        } else {
            jumped++;
        }
    }
    say("jumped", jumped);
    say("returned", returned);
    say("received", exchange(fds, 10));
    if (number(argv, "then", 0) != 0)
        interrupt_one_more(fds);
    return 0;
}
