/* A receive that is interrupted by SIGTERM, whose handler was installed past libc, after SIGCHLD, whose handler has
 * SA_RESTART: from another process, which sends data where that did not end it. */
#include "settled.h"

#include <sys/wait.h>

static struct progress *progress;

static void on_signal(int signal)
{
    (void)signal;
    progress->handled++;
}

/* As the kernel has it; with libc's restorer, which is found in what libc itself has installed. */
static void handle_past_libc(int signal)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action;
    handle(signal, on_signal, 0);
    must(syscall(SYS_rt_sigaction, signal, NULL, &action, sizeof action.mask) == 0, "rt_sigaction");
    action.handler = on_signal;
    must(syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask) == 0, "rt_sigaction");
}

static void interrupt(pid_t receiver, int peer)
{
    static const int signals[] = {SIGCHLD, SIGTERM};
    int file = open_syscall_file(receiver);
    for (int i = 0; i < 2; i++) {
        AWAIT(is_blocked(file), "the receive");
        kill(receiver, signals[i]);
        AWAIT(progress->handled == i + 1, "the handler");
        AWAIT(progress->returned != 0 || is_blocked(file), "the end of the interruption");
    }
    if (progress->returned == 0)
        must(write(peer, "x", 1) == 1, "write");
}

int main(void)
{
    int fds[2];
    char byte;
    setpgid(0, 0); /* AWAIT ends the group */
    pair(SOCK_STREAM, fds);
    progress = shared_progress();
    handle(SIGCHLD, on_signal, SA_RESTART);
    handle_past_libc(SIGTERM);
    pid_t receiver = getpid(), child = fork();
    if (child == 0) {
        interrupt(receiver, fds[1]);
        _exit(0);
    }
    errno = 0;
    ssize_t result = recv(fds[0], &byte, 1, 0);
    say("errno", result < 0 ? errno : 0);
    progress->returned++;
    waitpid(child, NULL, 0);
    return 0;
}
