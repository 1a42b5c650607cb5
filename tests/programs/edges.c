/* What no ordinary program does, but what works natively: each way says what it saw. */
#include "tagged.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A call of syscall(2) with nothing of its caller's on the stack that could be written: above the return address is
 * memory that can only be read. */
static void read_only_frame(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *stack = mmap(NULL, 17 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(stack != MAP_FAILED && mprotect(stack + 16 * page, (size_t)page, PROT_READ) == 0, "mprotect");
    long result;
#if defined __x86_64__
    __asm__ volatile("movq %%rsp, %%rbx\n"
                     "movq %2, %%rsp\n"
                     "call *%1\n"
                     "movq %%rbx, %%rsp\n"
                     : "=a"(result)
                     : "r"((void *)(uintptr_t)syscall), "r"(stack + 16 * page), "D"((long)SYS_getpid)
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
#elif defined __i386__
    /* All arguments are on the stack: of those that are there only the number is the callee's. */
    memcpy(stack + 16 * page - 4, &(int){SYS_getpid}, sizeof(int));
    __asm__ volatile("movl %%esp, %%ebx\n"
                     "movl %2, %%esp\n"
                     "call *%1\n"
                     "movl %%ebx, %%esp\n"
                     : "=a"(result)
                     : "r"((void *)(uintptr_t)syscall), "r"(stack + 16 * page - 4)
                     : "ebx", "ecx", "edx", "memory", "cc");
#else /* no argument is on the stack */
    result = syscall(SYS_getpid);
#endif
    say("pid", result == getpid());
}

#ifdef SYS_mmap2
#define MAP_CALL SYS_mmap2 /* i386: the other one takes a structure */
#else
#define MAP_CALL SYS_mmap
#endif

/* Six arguments, errno, and what is above the last of them. */
static void six_arguments(void)
{
    char *map = (char *)syscall(MAP_CALL, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    say("mapped", map != MAP_FAILED && *map == 0);
    errno = 0;
    say("refused", syscall(MAP_CALL, NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 1L));
    say("error", errno);
}

static void child_ends(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    must(pid > 0, "vfork");
}

static volatile int handled;

static void on_signal(int signal)
{
    (void)signal;
    child_ends();
    handled++;
}

/* lower_vfork.so sends the signal in the midst of the first vfork. */
static void vfork_in_handler(void)
{
    handle(SIGUSR1, on_signal, 0);
    for (int i = 0; i < 3; i++)
        child_ends();
    int children = 0;
    while (waitpid(-1, NULL, 0) > 0)
        children++;
    say("children", children - handled);
}

/* A child of vfork that confines itself, before a program that it would start. */
static void vfork_filter(void)
{
    struct tagged one = tagged_tcp();
    static struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    static struct sock_fprog program = {1, all};
    pid_t pid = vfork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0);
    }
    int status;
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
    close(one.peer);
    must(tagged_receive(one.fd, one.tag) == 0, "eof");
    close(one.fd);
}

/* A child of vfork that puts one socket on another's number, and sees its end there. */
static void vfork_receives(void)
{
    struct tagged one = tagged_unix(SOCK_STREAM), other = tagged_unix(SOCK_STREAM);
    tagged_exchange(&one);
    close(other.peer);
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(other.fd, one.fd);
        _exit(tagged_receive(one.fd, other.tag) != 0);
    }
    int status;
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
    tagged_exchange(&one);
    close(one.peer);
    must(tagged_receive(one.fd, one.tag) == 0, "eof");
    close(one.fd);
    say("one", one.tag);
    say("other", other.tag);
}

static void three_connections(void)
{
    for (int i = 0; i < 3; i++) {
        struct tagged one = tagged_unix(SOCK_STREAM);
        tagged_exchange(&one);
        close(one.peer);
        close(one.fd);
    }
}

static sigjmp_buf before_vfork;

static void jump_away(int signal)
{
    (void)signal;
    siglongjmp(before_vfork, 1);
}

/* The handler runs as the parent goes on, before it has left vfork, and never comes back: ten times. */
static void vfork_jumped_out_of(void)
{
    handle(SIGUSR1, jump_away, SA_NODEFER);
    for (volatile int i = 0; i < 10; i++) {
        if (sigsetjmp(before_vfork, 1) != 0)
            continue;
        pid_t pid = vfork();
        if (pid == 0) {
            kill(getppid(), SIGUSR1);
            execl("/bin/true", "true", NULL);
            _exit(70);
        }
        must(false, "no signal");
    }
    three_connections();
}

static int closes_and_ends(void *fds)
{
    close(((int *)fds)[0]);
    close(((int *)fds)[1]);
    _exit(9);
}

/* vfork with a stack of its own, as Qt starts programs. */
static void cloned(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    struct tagged one = tagged_unix(SOCK_STREAM);
    int fds[2] = {one.fd, one.peer}, status = 0;
    tagged_exchange(&one);
    pid_t pid = clone(closes_and_ends, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, fds);
    must(pid > 0 && waitpid(pid, &status, 0) == pid, "clone");
    say("status", status);
    tagged_exchange(&one);
    close(one.fd);
    three_connections();
}

/* A process of its own again, though it comes from a child of vfork. */
static void vfork_forks(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            three_connections();
            _exit(0);
        }
        int status = 0;
        _exit(grandchild < 0 || waitpid(grandchild, &status, 0) != grandchild || status != 0);
    }
    int status;
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
}

/* With lower_reuse.so: another connection has the number by the time that connect returns. */
static void connect_reused(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    int listener = bound(AF_INET, SOCK_STREAM, &address, &length);
    must(listen(listener, 1) == 0, "listen");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (struct sockaddr *)&address, length) == 0, "connect");
    say("port", ntohs(((struct sockaddr_in *)&address)->sin_port));
    say("received", tagged_receive(fd, 200));
    close(fd);
}

/* With lower_reuse.so: a socket that was not known ends, and another has its number by then. */
static void unknown_reused(void)
{
    int fds[2];
    char byte;
    must(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
    close(fds[1]);
    say("first", recv(fds[0], &byte, 1, 0));
    say("second", tagged_receive(fds[0], 200));
    close(fds[0]);
}

/* A socket that could not be connected listens instead; there is no room for the address of who comes. */
static void refused_then_listening(void)
{
    struct sockaddr_storage address;
    socklen_t length, none = 0;
    refusing(SOCK_STREAM, &address, &length);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(listener, (struct sockaddr *)&address, length) < 0 && listen(listener, 1) == 0, "listen");
    long port = port_of(listener, false);
    ((struct sockaddr_in *)&address)->sin_port = htons((in_port_t)port);
    must(connect(client, (struct sockaddr *)&address, length) == 0, "connect");
    must(accept(listener, (struct sockaddr *)&address, &none) >= 0, "accept");
    say("listener", port);
    say("client", port_of(client, false));
}

/* Lengths at addresses that cannot be: the kernel refuses them. */
#define IMPOSSIBLE (sizeof(void *) == 8 ? UINTPTR_MAX / 2 + 1 : UINTPTR_MAX - 4095)
static void lengths(void)
{
    static socklen_t *const bad[] = {(socklen_t *)1, (socklen_t *)-1, (socklen_t *)IMPOSSIBLE};
    struct sockaddr_storage address;
    socklen_t length;
    int listener = bound(AF_INET, SOCK_STREAM, &address, &length), fds[2];
    char byte;
    must(listen(listener, 8) == 0, "listen");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(client, (struct sockaddr *)&address, length) == 0, "connect");
        struct sockaddr_storage peer;
        say("accept", accept(listener, (struct sockaddr *)&peer, bad[i]) < 0 ? errno : 0);
        pair(SOCK_DGRAM, fds);
        must(send(fds[0], "x", 1, 0) == 1, "send");
        say("recvfrom", recvfrom(fds[1], &byte, 1, 0, (struct sockaddr *)&peer, bad[i]) < 0 ? errno : 0);
        close(client);
        close(fds[0]);
        close(fds[1]);
    }
}

static const struct way ways[] = {
    {"read-only-frame", read_only_frame},
    {"six-arguments", six_arguments},
    {"vfork-in-handler", vfork_in_handler},
    {"vfork-filter", vfork_filter},
    {"vfork-receives", vfork_receives},
    {"vfork-forks", vfork_forks},
    {"vfork-jumped-out-of", vfork_jumped_out_of},
    {"cloned", cloned},
    {"connect-reused", connect_reused},
    {"unknown-reused", unknown_reused},
    {"lengths", lengths},
    {"refused-then-listening", refused_then_listening},
};

int main(int argc, char **argv)
{
    (void)argc;
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
