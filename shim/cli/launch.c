#include "launch.h"

#include "command.h"
#include "trace/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The child of launch_start(). Passing on is a handler's work: it must go on while this process waits for whoever reads
 * its output. */
static pid_t program;
static struct sigaction before[NSIG];

/* Whether the child has had the signal already: the terminal sends to the whole foreground group, which the child may
 * have left, and the child may signal its own group. An alarm, which exec leaves running, is nobody's but this
 * process's. */
static bool already_told(int number, const siginfo_t *info)
{
    if (info->si_code == SI_KERNEL)
        return number != SIGALRM && getpgid(program) == getpgrp();
    return info->si_pid == program;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    (void)context;
    int error = errno;
    if (!already_told(number, info))
        kill(program, number);
    errno = error;
}

/* Not passed on: what this process itself has done wrong, what stops it, what it takes no notice of. */
static bool is_own(int number)
{
    static const int own[] = {SIGCHLD, SIGPIPE, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP,
                              SIGSYS,  SIGABRT, SIGXCPU, SIGXFSZ, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i] == number)
            return true;
    return false;
}

/* From here on; the mask leaves SIGCHLD alone blocked, for launch_wait() to take. */
static void pass_signals_on(void)
{
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t child;
    for (int number = 1; number < NSIG; number++)
        if (!is_own(number) && sigaction(number, NULL, &before[number]) == 0)
            sigaction(number, &action, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
}

static void keep_signals(const struct launch *launch)
{
    for (int number = 1; number < NSIG; number++)
        if (!is_own(number))
            sigaction(number, &before[number], NULL);
    sigprocmask(SIG_SETMASK, &launch->mask, NULL);
}

static void prepare_signals(struct launch *launch)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &launch->mask);
    /* Where SIGCHLD came ignored, the kernel would reap the child before its status is read. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP}, &launch->on_child);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &launch->on_pipe);
}

static void restore_signals(const struct launch *launch)
{
    sigaction(SIGCHLD, &launch->on_child, NULL);
    sigaction(SIGPIPE, &launch->on_pipe, NULL);
    sigprocmask(SIG_SETMASK, &launch->mask, NULL);
}

/* What exec's failure was: read from a pipe that a success closes. */
static int read_failure(int fd)
{
    int failure = 0;
    ssize_t got;
    do {
        got = read(fd, &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof failure ? failure : 0;
}

int launch_start(struct launch *launch, char *const argv[])
{
    int ends[2];
    launch->pid = -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    prepare_signals(launch);
    launch->pid = fork();
    if (launch->pid == 0) {
        restore_signals(launch);
        execvp(argv[0], argv);
        int failure = errno;
        /* Should even this fail, the parent sees a program that ended with 127. */
        if (write(ends[1], &failure, sizeof failure) < 0)
            _exit(STATUS_NOT_FOUND);
        _exit(STATUS_NOT_EXECUTABLE);
    }
    int failure = launch->pid < 0 ? errno : 0;
    close(ends[1]);
    if (failure == 0)
        failure = read_failure(ends[0]);
    close(ends[0]);
    if (failure == 0) {
        program = launch->pid;
        pass_signals_on();
    } else {
        if (launch->pid > 0)
            waitpid(launch->pid, NULL, 0);
        restore_signals(launch);
    }
    return failure;
}

/* While it is still there to be waited for. */
static void read_comm(struct launch *launch)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)launch->pid);
    identity_read_line(path, launch->comm, sizeof launch->comm);
    launch->comm[strcspn(launch->comm, "\n")] = '\0';
}

bool launch_wait(struct launch *launch, long milliseconds, int *status)
{
    struct timespec patience = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigtimedwait(&child, NULL, &patience);

    /* Its id remains its own until nothing is passed on to it any more. */
    siginfo_t end = {0};
    if (waitid(P_PID, (id_t)launch->pid, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid != launch->pid)
        return false;
    keep_signals(launch);
    read_comm(launch);
    launch->killed = end.si_code != CLD_EXITED;
    waitpid(launch->pid, NULL, 0);
    *status = end.si_code == CLD_EXITED ? end.si_status : STATUS_SIGNAL + end.si_status;
    return true;
}
