/* What a handler sees while it runs, one way after another: told as text that must be the same with whatever is
 * preloaded. */
#include "signals.h"

#include <setjmp.h>
#include <ucontext.h>

static char alternate_stack[65536];
static sigjmp_buf back;
static int depth;

static const char *handler_name(const void *handler)
{
    (void)handler;
    return "a handler";
}

static bool on_alternate_stack(void)
{
    char here;
    return (uintptr_t)&here >= (uintptr_t)alternate_stack &&
           (uintptr_t)&here < (uintptr_t)alternate_stack + sizeof alternate_stack;
}

static void tell(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *state = context;
    printf("  signal %d, si_signo %d, si_code %d, si_errno %d, from %s, value %d, blocked %#llx, before %#llx, %s\n",
           signal, info->si_signo, info->si_code, info->si_errno, info->si_pid == getpid() ? "here" : "elsewhere",
           info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, blocked_now(), bits_of(&state->uc_sigmask),
           on_alternate_stack() ? "alternate stack" : "own stack");
    print_disposition("  within", signal);
}

/* A handler that does not ask for them is given the addresses all the same, but for i386; the kernel fills in the
 * second only. */
static void tell_plain(int signal, siginfo_t *unfilled, void *context)
{
    printf("  signal %d, blocked %#llx, %s\n", signal, blocked_now(),
           on_alternate_stack() ? "alternate stack" : "own stack");
#ifndef __i386__
    const ucontext_t *state = context;
    printf("  %s, before %#llx\n", unfilled != NULL ? "an address" : "none", bits_of(&state->uc_sigmask));
#else
    (void)unfilled;
    (void)context;
#endif
    print_disposition("  within", signal);
}

static void deliver_every_way(int signal)
{
    printf(" raise\n");
    raise(signal);
    printf(" kill\n");
    kill(getpid(), signal);
    printf(" sigqueue\n");
    sigqueue(getpid(), signal, (union sigval){.sival_int = 4711});
    printf(" tgkill\n");
    syscall(SYS_tgkill, getpid(), gettid_now(), signal);
}

/* The signal with every flag and mask; after SA_RESETHAND it would be deadly, or ignored. */
static void show_running(void)
{
    static const int signals[] = {SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE, SIGSEGV, 37, 64};
    static const int flags[] = {SA_SIGINFO, SA_SIGINFO | SA_RESTART, SA_SIGINFO | SA_NODEFER, SA_SIGINFO | SA_ONSTACK,
                                0,          SA_RESTART | SA_ONSTACK};
    stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
    sigaltstack(&stack, NULL);
    for (size_t s = 0; s < sizeof signals / sizeof signals[0]; s++) {
        for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
            for (int masked = 0; masked < 2; masked++) {
                struct sigaction action = {.sa_sigaction = flags[f] & SA_SIGINFO ? tell : tell_plain,
                                           .sa_flags = flags[f]};
                sigset_t outside;
                sigemptyset(&outside);
                if (masked) {
                    sigaddset(&action.sa_mask, SIGUSR2);
                    sigaddset(&action.sa_mask, SIGINT);
                    sigaddset(&outside, SIGHUP);
                }
                sigprocmask(SIG_SETMASK, &outside, NULL);
                sigaction(signals[s], &action, NULL);
                printf("signal %d, flags %#x, masked %d\n", signals[s], (unsigned)flags[f], masked);
                deliver_every_way(signals[s]);
                printf(" blocked after it %#llx\n", blocked_now());
            }
        }
    }
}

static void reset(int signal)
{
    print_disposition("  within", signal);
    printf("  blocked %#llx\n", blocked_now());
}

static void show_reset(void)
{
    static const int flags[] = {(int)SA_RESETHAND, (int)(SA_RESETHAND | SA_RESTART), (int)(SA_RESETHAND | SA_NODEFER)};
    for (size_t f = 0; f < 3; f++) {
        struct sigaction action = {.sa_handler = reset, .sa_flags = flags[f]};
        sigaction(SIGCHLD, &action, NULL);
        raise(SIGCHLD);
        print_disposition("after", SIGCHLD);
        raise(SIGCHLD);
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
        print_disposition("after", SIGUSR1);
    }
    sysv_signal(SIGCHLD, reset);
    raise(SIGCHLD);
    print_disposition("after sysv_signal", SIGCHLD);
}

static void nested(int signal)
{
    depth++;
    printf("%*sdepth %d, blocked %#llx\n", depth * 2, "", depth, blocked_now());
    if (depth < 4)
        raise(signal);
    printf("%*sleaves depth %d\n", depth * 2, "", depth);
    depth--;
}

static void once_more(int signal)
{
    static int calls;
    printf("  call %d\n", ++calls);
    if (calls == 1)
        raise(signal); /* comes when this returns */
    printf("  leaves call %d\n", calls);
}

static void show_nesting(void)
{
    struct sigaction action = {.sa_handler = nested, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    action = (struct sigaction){.sa_handler = once_more};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
}

static void late_handler(int signal)
{
    printf("  the later handler, signal %d\n", signal);
}

/* Installs handlers for its own signal and another, and receives. */
static void replacing(int number, siginfo_t *info, void *context)
{
    (void)context;
    char byte;
    int fds[2];
    printf("  replaces the handler of %d, si_code %d\n", number, info->si_code);
    print_disposition("  within", number);
    sighandler_t old = signal(number, late_handler);
    printf("  old: %s\n", name_of_handler(old));
    signal(SIGUSR2, late_handler);
    raise(SIGUSR2);
    pair(SOCK_STREAM, fds);
    must(write(fds[1], "x", 1) == 1, "write");
    printf("  recv: %zd\n", recv(fds[0], &byte, 1, 0));
    printf("  recv: %zd\n", recv(fds[0], &byte, 1, MSG_DONTWAIT));
    close(fds[0]);
    close(fds[1]);
}

static void show_replacing(void)
{
    for (int i = 0; i < 3; i++) {
        struct sigaction action = {.sa_sigaction = replacing, .sa_flags = SA_SIGINFO | (i == 1 ? SA_RESTART : 0)};
        sigaction(SIGTERM, &action, NULL);
        raise(SIGTERM);
        raise(SIGTERM);
        print_disposition("after", SIGTERM);
    }
}

static void spoils_errno(int signal)
{
    if (signal == SIGUSR2)
        errno = 77;
}

static void show_errno(void)
{
    handle(SIGUSR1, spoils_errno, 0);
    handle(SIGUSR2, spoils_errno, 0);
    errno = 1234;
    raise(SIGUSR1);
    printf("errno %d\n", errno);
    raise(SIGUSR2);
    printf("errno %d\n", errno);
}

/* The context is the kernel's own: what a handler writes there holds when it returns. */
static void changes_mask(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGHUP);
}

#ifdef __x86_64__
static void steps_over(int signal, siginfo_t *info, void *context)
{
    ucontext_t *state = context;
    printf("  signal %d, si_code %d, address %s\n", signal, info->si_code,
           (greg_t)(uintptr_t)info->si_addr == state->uc_mcontext.gregs[REG_RIP] ? "of the instruction" : "another");
    state->uc_mcontext.gregs[REG_RIP] += 2;
    state->uc_mcontext.gregs[REG_RAX] = 42;
}
#endif

static void show_context(void)
{
    struct sigaction action = {.sa_sigaction = changes_mask, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    printf("blocked %#llx\n", blocked_now());
#ifdef __x86_64__
    action.sa_sigaction = steps_over;
    sigaction(SIGILL, &action, NULL);
    long answer = 0;
    __asm__ volatile("ud2" : "+a"(answer));
    printf("answer %ld\n", answer);
#endif
}

static void jumps(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static void show_jumps(void)
{
    static volatile int jumped;
    volatile int signals[] = {SIGTERM, SIGUSR1, SIGALRM, 37};
    for (volatile int i = 0; i < 10000; i++) {
        int signal = signals[i % 4];
        handle(signal, jumps, i % 3 ? 0 : SA_RESTART);
        if (sigsetjmp(back, 1) == 0)
            raise(signal);
        else
            jumped++;
    }
    printf("jumped %d, blocked %#llx\n", jumped, blocked_now());
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {
        {"running", show_running},     {"reset", show_reset},     {"nesting", show_nesting}, {"errno", show_errno},
        {"replacing", show_replacing}, {"context", show_context}, {"jumps", show_jumps}};
    int status = show_way(ways, sizeof ways / sizeof ways[0], argv);
    fflush(stdout);
    return status;
}
