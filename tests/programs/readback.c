/* What a program can read back of the handlers it installs: after each call that installs one, what the call returned,
 * its errno, and what sigaction then says. */
#include "signals.h"

#include <sys/wait.h>

sighandler_t bsd_signal(int signal, sighandler_t handler);
int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);

static void first(int signal)
{
    (void)signal;
}

static void second(int signal)
{
    (void)signal;
    write(STDOUT_FILENO, "second ran\n", 11);
}

static void third(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

static const char *handler_name(const void *handler)
{
    return handler == (const void *)(uintptr_t)first    ? "first"
           : handler == (const void *)(uintptr_t)second ? "second"
           : handler == (const void *)(uintptr_t)third  ? "third"
                                                        : NULL;
}

static const int some_signals[] = {SIGINT,  SIGTERM, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE,
                                   SIGTSTP, 37,      64,     SIGSEGV, SIGSYS,  SIGKILL, SIGSTOP,
                                   0,       -1,      65,     66,      1000,    32,      33};
#define SIGNALS (sizeof some_signals / sizeof some_signals[0])

static void set_action(int signal, const struct sigaction *action)
{
    struct sigaction old;
    memset(&old, 0xaa, sizeof old);
    errno = 0;
    int result = sigaction(signal, action, &old);
    printf("sigaction: %d, errno %d\n", result, errno);
    if (result == 0)
        print_action("  old", &old);
    print_disposition("  now", signal);
}

static void of_sigaction(int signal)
{
    static const int flags[] = {0,
                                SA_RESTART,
                                SA_SIGINFO,
                                SA_SIGINFO | SA_RESTART,
                                SA_NODEFER,
                                (int)SA_RESETHAND,
                                SA_ONSTACK | SA_SIGINFO,
                                SA_NOCLDSTOP | SA_NOCLDWAIT,
                                SA_INTERRUPT,
                                0x400,
                                0x800,
                                0x10000 | 0x100,
                                0x04000000,
                                -1};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct sigaction action = {.sa_flags = flags[i]};
        if (flags[i] & SA_SIGINFO)
            action.sa_sigaction = third;
        else
            action.sa_handler = i % 2 ? first : second;
        if (i % 3 == 1)
            sigaddset(&action.sa_mask, SIGUSR2);
        if (i % 3 == 2)
            sigfillset(&action.sa_mask);
        set_action(signal, &action);
        /* A handler that was installed as it was read. */
        struct sigaction copy = action;
        if (sigaction(signal, NULL, &copy) == 0)
            set_action(signal, &copy);
    }
    /* SIG_IGN and SIG_DFL with SA_SIGINFO, and the numbers that only sigset gives a meaning. */
    static const sighandler_t dispositions[] = {SIG_IGN, SIG_DFL, SIG_HOLD, SIG_ERR, SIG_DFL};
    for (size_t i = 0; i < 5; i++) {
        struct sigaction action = {.sa_flags = i % 2 ? SA_SIGINFO : SA_RESTART};
        action.sa_handler = dispositions[i];
        set_action(signal, &action);
    }
    /* Over the same memory: the new action is read before the old is written. */
    struct sigaction both = {.sa_handler = first}, *volatile same = &both;
    errno = 0;
    int result = sigaction(signal, &both, same);
    printf("sigaction over itself: %d, errno %d, %s\n", result, errno, name_of(&both));
    print_disposition("  now", signal);
    struct sigaction action = {.sa_handler = second};
    result = __sigaction(signal, &action, NULL);
    printf("__sigaction: %d\n", result);
    print_disposition("  now", signal);
    errno = 0;
    result = sigaction(signal, NULL, NULL);
    printf("sigaction of nothing: %d, errno %d\n", result, errno);
}

static void of_signal(int signal_number)
{
    static const struct {
        const char *name;
        sighandler_t (*function)(int, sighandler_t);
    } calls[] = {{"signal", signal},
                 {"ssignal", ssignal},
                 {"bsd_signal", bsd_signal},
                 {"sysv_signal", sysv_signal},
                 {"__sysv_signal", __sysv_signal},
                 {"sigset", sigset}};
    static const sighandler_t handlers[] = {first,   second,   second,   SIG_IGN, first,  SIG_DFL,
                                            SIG_ERR, SIG_HOLD, SIG_HOLD, first,   SIG_DFL};
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        for (size_t h = 0; h < sizeof handlers / sizeof handlers[0]; h++) {
            if (calls[c].function == sigset && handlers[h] == SIG_ERR)
                continue; /* a way of its own */
            errno = 0;
            sighandler_t old = calls[c].function(signal_number, handlers[h]);
            printf("%s(%s): %s, errno %d, blocked %#llx\n", calls[c].name, name_of_handler(handlers[h]),
                   name_of_handler(old), errno, blocked_now());
            print_disposition("  now", signal_number);
        }
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        sigaction(signal_number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    }
}

static void of_siginterrupt(int signal_number)
{
    static const sighandler_t handlers[] = {first, SIG_IGN, SIG_DFL};
    for (size_t h = 0; h < 3; h++) {
        for (int interrupt = 0; interrupt < 4; interrupt++) {
            errno = 0;
            sighandler_t old = signal(signal_number, handlers[h]);
            printf("signal: %s, errno %d\n", name_of_handler(old), errno);
            errno = 0;
            int result = siginterrupt(signal_number, interrupt % 3);
            printf("siginterrupt(%d): %d, errno %d\n", interrupt % 3, result, errno);
            print_disposition("  now", signal_number);
            signal(signal_number, second);
            print_disposition("  signal after it", signal_number);
            sigaction(signal_number, &(struct sigaction){.sa_sigaction = third, .sa_flags = SA_SIGINFO | SA_RESTART},
                      NULL);
            siginterrupt(signal_number, 1);
            print_disposition("  after sigaction", signal_number);
            siginterrupt(signal_number, 0);
        }
    }
}

/* libc's own calls go past every interposer, and so do raw system calls. */
static void of_libc(int signal_number)
{
    signal(signal_number, second);
    sighold(signal_number);
    printf("sighold: blocked %#llx\n", blocked_now());
    sigrelse(signal_number);
    printf("sigrelse: blocked %#llx\n", blocked_now());
    errno = 0;
    int result = sigignore(signal_number);
    printf("sigignore: %d, errno %d\n", result, errno);
    print_disposition("  now", signal_number);
    sighandler_t old = signal(signal_number, first);
    printf("  before: %s\n", name_of_handler(old));

    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } raw = {(void *)(uintptr_t)SIG_IGN, 0, NULL, 2};
    syscall(SYS_rt_sigaction, signal_number, &raw, NULL, 8);
    print_disposition("a raw SIG_IGN", signal_number);
    old = signal(signal_number, second);
    printf("  before: %s\n", name_of_handler(old));
}

static void of_system(void)
{
    signal(SIGINT, second);
    signal(SIGQUIT, second);
    printf("system: %d\n", system("kill -INT $$; true"));
    print_disposition("SIGINT after system", SIGINT);
    fflush(stdout);
    raise(SIGINT);
    raise(SIGQUIT);
    FILE *pipe = popen("exit 3", "r");
    printf("pclose: %d\n", WEXITSTATUS(pclose(pipe)));
    print_disposition("SIGINT after popen", SIGINT);
    /* abort and sleep have been known to touch handlers. */
    sigset(SIGALRM, second);
    usleep(1000);
    print_disposition("SIGALRM after usleep", SIGALRM);
}

/* Bad pointers: libc reads the new action itself, and the kernel writes into libc's own copy. */
static void of_faults(void)
{
    struct sigaction old;
    errno = 0;
    printf("EINVAL: %d %d\n", sigaction(SIGKILL, &(struct sigaction){.sa_handler = first}, &old), errno);
    errno = 0;
    printf("EINVAL: %d %d\n", sigaction(0, NULL, &old), errno);
    errno = 0;
    printf("EFAULT: %ld %d\n", syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8), errno);
    errno = EBADMSG;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = first}, &old);
    signal(SIGUSR1, second);
    sigset(SIGUSR1, first);
    siginterrupt(SIGUSR1, 1);
    sysv_signal(SIGUSR1, second);
    printf("errno after calls that worked: %d\n", errno);
}

/* libc's sigset takes SIG_ERR for a handler like any other. */
static void show_sigset_of_error(void)
{
    errno = 0;
    sighandler_t old = sigset(SIGUSR1, SIG_ERR);
    printf("sigset: %s, errno %d\n", name_of_handler(old), errno);
    print_disposition("  now", SIGUSR1);
}

static void show_calls(void)
{
    print_dispositions("at start");
    for (size_t i = 0; i < SIGNALS; i++) {
        printf("---- signal %d\n", some_signals[i]);
        of_sigaction(some_signals[i]);
        of_signal(some_signals[i]);
        of_siginterrupt(some_signals[i]);
        of_libc(some_signals[i]);
    }
    of_system();
    of_faults();
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"calls", show_calls}, {"sigset_of_error", show_sigset_of_error}};
    setvbuf(stdout, NULL, _IOLBF, 0); /* handlers write, too */
    return show_way(ways, 2, argv);
}
