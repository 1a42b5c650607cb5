/* A descriptor of a stream is closed in a way that no call of libc tells of, and its number is used again:
 *   by=file         by a system call that puts a file there, of which a byte is read
 *   by=freopen      by libc itself, which does the same
 *   by=filter       by a system call that puts a pipe there, of which a read is interrupted under a filter of seccomp
 *   by=kernel       by a system call, and by another a socket is made there
 *   by=socketpair   by a system call, and libc's socketpair makes one there
 *   by=thread       in a thread alone, which has descriptors of its own
 * A byte is received from the stream before, and from whatever has its number then. */
#include "allow.h"
#include "ticks.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static char byte;
static int fds[2], writer;
static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == 3)
        must(write(writer, "x", 1) == 1, "write");
    errno = error;
}

static void receive_once(void)
{
    must(send(fds[1], "x", 1, 0) == 1, "send");
    say("stream", recv(fds[0], &byte, 1, 0));
    say("fd", fds[0]);
}

static void by_file(void)
{
    must(past_libc(SYS_dup3, open("/dev/zero", O_RDONLY), fds[0], 0) == fds[0], "dup3");
    say("file", read(fds[0], &byte, 1));
}

static void by_freopen(void)
{
    FILE *stream = fdopen(fds[0], "r");
    must(stream != NULL && freopen("/dev/zero", "r", stream) != NULL && fileno(stream) == fds[0], "freopen");
    say("file", read(fds[0], &byte, 1));
}

static void by_pipe_under_a_filter(void)
{
    static struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    static struct sock_fprog program = {1, all};
    int ends[2];
    must(pipe(ends) == 0, "pipe");
    writer = ends[1];
    must(past_libc(SYS_dup3, ends[0], fds[0], 0) == fds[0], "dup3");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    handle(SIGALRM, on_tick, 0);
    begin_ticks(10000);
    ssize_t result = read(fds[0], &byte, 1);
    end_ticks();
    say("file", result);
}

static void *close_own(void *nothing)
{
    must(unshare(CLONE_FILES) == 0 && close(fds[0]) == 0, "unshare");
    return nothing;
}

static void by_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, close_own, NULL) == 0 && pthread_join(thread, NULL) == 0, "a thread");
    receive_once();
}

static void by_socket_calls(bool made_by_libc)
{
    int old = fds[0];
    must(syscall(SYS_close_range, old, old, 0) == 0, "close_range");
    must((made_by_libc ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds)
                       : (int)syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds)) == 0 &&
             fds[0] == old,
         "the same number");
    receive_once();
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *by = option(argv, "by", "file");
    pair(SOCK_STREAM, fds);
    receive_once();
    if (strcmp(by, "file") == 0)
        by_file();
    else if (strcmp(by, "freopen") == 0)
        by_freopen();
    else if (strcmp(by, "filter") == 0)
        by_pipe_under_a_filter();
    else if (strcmp(by, "thread") == 0)
        by_thread();
    else
        by_socket_calls(strcmp(by, "socketpair") == 0);
    return 0;
}
