/* Installs a filter under which every system call but the few of its own kills it, and goes on receiving, until the
 * peer hangs up and it closes; with thread=1 in a new thread too, with tcp=1 over TCP, with seccomp=1 by seccomp(2),
 * with past=1 by a system call past libc, with tried=1 not at all, but tries whether it could; with fork=1 all in a
 * child that has not received before. */
#include "allow.h"
#include "victim.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int fds[2];

static void filter(bool with_threads, bool by_seccomp, bool past)
{
    struct sock_filter own[] = {
        LOAD_NUMBER, ALLOW_SOCKETS, ALLOW(write), ALLOW(close), ALLOW(exit_group), ELSE_KILL,
    };
    /* What pthread_create, pthread_join and a thread's end need besides. */
    struct sock_filter threads[] = {
        LOAD_NUMBER,         ALLOW_SOCKETS,          ALLOW(write),
        ALLOW(close),        ALLOW(exit_group),      ALLOW_MAPPING,
        ALLOW_FUTEX,         ALLOW(clone),           ALLOW(clone3),
        ALLOW(rseq),         ALLOW(set_robust_list), ALLOW(getrandom),
        ALLOW(rt_sigaction), ALLOW(rt_sigprocmask),  ALLOW(exit),
        ELSE_KILL,
    };
    struct sock_fprog program = {sizeof own / sizeof own[0], own};
    struct sock_fprog with = {sizeof threads / sizeof threads[0], threads};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    struct sock_fprog *chosen = with_threads ? &with : &program;
    if (past)
        must(past_libc(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)(intptr_t)chosen) == 0, "PR_SET_SECCOMP");
    else if (by_seccomp)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, chosen) == 0, "seccomp");
    else
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, chosen) == 0, "PR_SET_SECCOMP");
}

/* As programs do to learn whether the kernel knows of filters. */
static void try_filters(void)
{
    say("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0 ? errno : 0);
    say("prctl", syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0 ? errno : 0);
    say("strict", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) != 0 ? errno : 0);
    say("filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) != 0 ? errno : 0);
}

static void *receive(void *argument)
{
    *(long *)argument = exchange(fds, 50);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    bool with_threads = number(argv, "thread", 0) != 0;
    char byte;
    long in_thread = 0;
    if (number(argv, "tcp", 0) != 0)
        tcp_pair(fds, NULL);
    else
        pair(SOCK_STREAM, fds);
    if (number(argv, "fork", 0) != 0) {
        int status;
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child != 0) {
            close(fds[0]);
            close(fds[1]);
            must(waitpid(child, &status, 0) == child, "waitpid");
            return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        }
    }
    if (number(argv, "tried", 0) != 0)
        try_filters();
    else
        filter(with_threads, number(argv, "seccomp", 0) != 0, number(argv, "past", 0) != 0);
    say("received", exchange(fds, 100));
    if (with_threads) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, receive, &in_thread) == 0, "pthread_create");
        pthread_join(thread, NULL);
        say("in_thread", in_thread);
    }
    say("would_block", recv(fds[0], &byte, 1, MSG_DONTWAIT));
    close(fds[1]);
    say("eof", recv(fds[0], &byte, 1, 0));
    close(fds[0]);
    return 0;
}
