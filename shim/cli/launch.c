#include "launch.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void watch_signals(struct launch *launch)
{
    static const int watched[] = {SIGCHLD, SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};
    sigemptyset(&launch->watched);
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        sigaddset(&launch->watched, watched[i]);
    sigprocmask(SIG_BLOCK, &launch->watched, &launch->mask);
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
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    watch_signals(launch);
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
    if (failure != 0) {
        if (launch->pid > 0)
            waitpid(launch->pid, NULL, 0);
        restore_signals(launch);
    }
    return failure;
}

/* Whether the child has had the signal already: the terminal sends to the whole foreground group, and the child may
 * signal its own group. */
static bool already_told(const struct launch *launch, const siginfo_t *info)
{
    return info->si_code == SI_KERNEL || info->si_pid == launch->pid;
}

bool launch_wait(struct launch *launch, long milliseconds, int *status)
{
    struct timespec patience = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    siginfo_t info;
    int number = sigtimedwait(&launch->watched, &info, &patience);
    if (number > 0 && number != SIGCHLD && !already_told(launch, &info))
        kill(launch->pid, number);

    int wait_status;
    if (waitpid(launch->pid, &wait_status, WNOHANG) != launch->pid)
        return false;
    *status = WIFSIGNALED(wait_status) ? STATUS_SIGNAL + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    return true;
}
