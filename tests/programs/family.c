/* Handlers and the processes a program makes: `fork`, `exec`, `vfork`, `spawn`; as text that must be the same with
 * whatever is preloaded. `received`: a forked child, with the handlers it was born with, blocks in a receive, which
 * SIGTERM, without SA_RESTART, interrupts; then in another, which SIGUSR1 does. Its byte follows each time. */
#include "settled.h"
#include "signals.h"

#include <spawn.h>
#include <sys/wait.h>

static struct progress *progress;
static volatile sig_atomic_t ran;

static void plain(int signal)
{
    ran = signal;
    if (progress != NULL)
        progress->handled++;
}

static void informed(int signal, siginfo_t *info, void *context)
{
    (void)context;
    ran = info->si_signo == signal ? -signal : 0;
}

static const char *handler_name(const void *handler)
{
    return handler == (const void *)(uintptr_t)plain      ? "plain"
           : handler == (const void *)(uintptr_t)informed ? "informed"
                                                          : NULL;
}

static void install_all(void)
{
    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(37, &action, NULL);
    signal(SIGTERM, plain);
    signal(SIGUSR2, plain);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static void print_all(const char *who)
{
    printf("%s\n", who);
    print_dispositions(who);
    printf("blocked %#llx\n", blocked_now());
    fflush(stdout);
}

static void raise_all(const char *who)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGHUP, 37};
    for (size_t i = 0; i < 4; i++) {
        ran = 0;
        raise(signals[i]);
        printf("%s: after %d ran %d\n", who, signals[i], (int)ran);
    }
    fflush(stdout);
}

static void reap(pid_t child)
{
    int status = 0;
    must(child > 0 && waitpid(child, &status, 0) == child, "wait");
    printf("ended: %#x\n", (unsigned)status);
}

static void show_fork(void)
{
    install_all();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        print_all("child");
        raise_all("child");
        signal(SIGTERM, SIG_DFL);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = plain}, NULL);
        print_all("child, changed");
        raise(SIGTERM);
        _exit(0);
    }
    reap(child);
    print_all("parent");
    raise_all("parent");
}

static void show_exec(void)
{
    install_all();
    char *argv[] = {(char *)(uintptr_t) "family", (char *)(uintptr_t) "born", NULL};
    execv("/proc/self/exe", argv);
}

static void show_born(void)
{
    print_all("born");
    install_all();
    raise_all("born");
}

static void show_vfork(void)
{
    install_all();
    fflush(stdout);
    pid_t child = vfork();
    if (child == 0) {
        for (int signal_number = 1; signal_number <= 64; signal_number++)
            signal(signal_number, SIG_DFL);
        sigaction(37, &(struct sigaction){.sa_handler = plain}, NULL);
        execl("/proc/self/exe", "family", "born", (char *)NULL);
        _exit(1);
    }
    reap(child);
    print_all("parent");
    raise_all("parent");
}

static void show_spawn(void)
{
    install_all();
    fflush(stdout);
    posix_spawnattr_t attributes;
    sigset_t set;
    posix_spawnattr_init(&attributes);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    posix_spawnattr_setsigdefault(&attributes, &set);
    sigaddset(&set, SIGWINCH);
    posix_spawnattr_setsigmask(&attributes, &set);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    pid_t child;
    char *argv[] = {(char *)(uintptr_t) "family", (char *)(uintptr_t) "born", NULL};
    must(posix_spawn(&child, "/proc/self/exe", NULL, &attributes, argv, environ) == 0, "posix_spawn");
    reap(child);
    print_all("parent");
    raise_all("parent");
}

static void receive(const char *result_key, const char *errno_key, int fd)
{
    char byte;
    progress->begun++;
    ssize_t result = recv(fd, &byte, 1, 0);
    int error = result < 0 ? errno : 0;
    progress->returned++;
    if (result < 0)
        must(read(fd, &byte, 1) == 1, "read");
    say(result_key, result);
    say(errno_key, error);
}

static void show_received(void)
{
    static const int signals[] = {SIGTERM, SIGUSR1};
    int fds[2];
    setpgid(0, 0);
    progress = shared_progress();
    pair(SOCK_STREAM, fds);
    handle(SIGTERM, plain, 0);
    handle(SIGUSR1, plain, 0);
    pid_t child = fork();
    if (child == 0) {
        receive("result_of_term", "errno_of_term", fds[0]);
        receive("result_of_usr1", "errno_of_usr1", fds[0]);
        _exit(0);
    }
    int file = open_syscall_file(child);
    for (long i = 0; i < 2; i++) {
        AWAIT(progress->begun == i + 1 && is_blocked(file), "the receive");
        must(kill(child, signals[i]) == 0, "kill");
        AWAIT(progress->handled == i + 1, "the handler");
        AWAIT(progress->returned == i + 1 || is_blocked(file), "the end of the interruption");
        must(write(fds[1], "x", 1) == 1, "write");
    }
    must(waitpid(child, NULL, 0) == child, "wait");
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"fork", show_fork},   {"exec", show_exec}, {"vfork", show_vfork},
                                      {"spawn", show_spawn}, {"born", show_born}, {"received", show_received}};
    int status = show_way(ways, sizeof ways / sizeof ways[0], argv);
    fflush(stdout);
    return status;
}
