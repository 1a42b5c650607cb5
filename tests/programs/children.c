/* A parent that receives 10 times, a child (argument 1 says how it comes to be) 20 times, then the parent 30 times. */
#include "victim.h"

#include <sched.h>
#include <spawn.h>
#include <stdalign.h>
#include <sys/wait.h>

static int fds[2];
static char **arguments;

static void act_as_child(void)
{
    say("child", syscall(SYS_getpid)); /* the kernel's word: after a raw clone libc may have a cached one */
    say("child_tid", gettid_now());
    say("child_received", exchange(fds, 20));
}

static pid_t by_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        act_as_child();
        _exit(0);
    }
    return child;
}

/* libc calls no handlers for this one. */
static pid_t by_fork_for_handlers(void)
{
    pid_t child = _Fork();
    if (child == 0) {
        act_as_child();
        _exit(0);
    }
    return child;
}

/* libc knows nothing of this one. */
static pid_t raw_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static pid_t by_clone(void)
{
    pid_t child = raw_clone();
    if (child == 0) {
        act_as_child();
        _exit(0);
    }
    return child;
}

static int run_beside(void *nothing)
{
    (void)nothing;
    act_as_child();
    return 0;
}

/* The child runs in the parent's memory, too, and the parent goes on. */
static pid_t by_clone_of_memory(void)
{
    static alignas(16) char stack[65536];
    return clone(run_beside, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
}

/* The child runs in the parent's memory, and must leave what is kept there right. */
static pid_t by_vfork(void)
{
    pid_t child = vfork();
    if (child == 0) {
        act_as_child();
        _exit(0);
    }
    return child;
}

/* A child that has not received yet, when its own child of vfork does. */
static pid_t vforking(pid_t (*make)(void))
{
    pid_t child = make();
    if (child == 0) {
        int status;
        pid_t grandchild = vfork();
        if (grandchild == 0) {
            exchange(fds, 1);
            _exit(0);
        }
        must(waitpid(grandchild, &status, 0) == grandchild && status == 0, "grandchild");
        act_as_child();
        _exit(0);
    }
    return child;
}

static pid_t by_fork_and_vfork(void)
{
    return vforking(fork);
}

static pid_t by_fork_for_handlers_and_vfork(void)
{
    return vforking(_Fork);
}

static pid_t by_clone_and_vfork(void)
{
    return vforking(raw_clone);
}

/* Status 77: namespaces are not permitted here. */
static pid_t by_fork_into_a_namespace(void)
{
    if (unshare(CLONE_NEWPID) != 0)
        exit(77);
    return by_fork();
}

static pid_t by_posix_spawn(void)
{
    pid_t child;
    char *argv[] = {arguments[0], "second-life", NULL};
    must(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) == 0, "posix_spawn");
    return child;
}

static pid_t by_exec(void)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", arguments[0], "second-life", NULL);
        _exit(70);
    }
    return child;
}

static const struct {
    const char *name;
    pid_t (*make)(void);
} ways[] = {
    {"fork", by_fork},
    {"clone", by_clone},
    {"clone-memory", by_clone_of_memory},
    {"vfork", by_vfork},
    {"spawn", by_posix_spawn},
    {"exec", by_exec},
    {"fork-vfork", by_fork_and_vfork},
    {"_Fork", by_fork_for_handlers},
    {"_Fork-vfork", by_fork_for_handlers_and_vfork},
    {"clone-vfork", by_clone_and_vfork},
    {"namespace", by_fork_into_a_namespace},
};

int main(int argc, char **argv)
{
    arguments = argv;
    pair(SOCK_STREAM, fds);
    if (argc == 2 && strcmp(argv[1], "second-life") == 0) {
        act_as_child();
        return 0;
    }
    say("parent", getpid());
    say("before", exchange(fds, 10));
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(argv[1], ways[i].name) != 0)
            continue;
        pid_t child = ways[i].make();
        int status;
        must(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
    }
    say("after", exchange(fds, 30));
    return 0;
}
