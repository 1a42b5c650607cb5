/* What comes while a receive is being delayed, or is not made at all. Each way tells what became of it, and how many
 * milliseconds it took. */
#include "victim.h"

#include <setjmp.h>

static int fds[2];
static uint64_t begun;

static void say_elapsed(void)
{
    say("elapsed", (long long)((nanoseconds(CLOCK_MONOTONIC) - begun) / 1000000));
}

static void *receive_for_ever(void *nothing)
{
    char byte;
    for (;;)
        recv(fds[0], &byte, 1, 0);
    return nothing;
}

static void cancel(void)
{
    pthread_t thread;
    void *result;
    begun = nanoseconds(CLOCK_MONOTONIC);
    must(pthread_create(&thread, NULL, receive_for_ever, NULL) == 0, "pthread_create");
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    pthread_cancel(thread);
    must(pthread_join(thread, &result) == 0, "pthread_join");
    say("cancelled", result == PTHREAD_CANCELED);
    char byte = 0;
    say("left", recv(fds[0], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1);
    say_elapsed();
}

/* With what is already there for the receive to take: a cancellation may not lose it. */
static void cancel_with_data(void)
{
    must(send(fds[1], "x", 1, 0) == 1, "send");
    cancel();
}

static volatile sig_atomic_t handled;

static void note(int signal)
{
    (void)signal;
    handled++;
}

/* SIGALRM, once the main thread sleeps. */
static void *send_alarm(void *nothing)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)getpid());
    wait_until_blocked(path, IN_DELAY | IN_WAIT | IN_RECEIVE);
    must(kill(getpid(), SIGALRM) == 0, "kill");
    return nothing;
}

static void interrupt_by(void (*handler)(int), int signal_flags)
{
    handle(SIGALRM, handler, signal_flags);
    start_undisturbed(send_alarm, NULL);
}

static void receive_alarmed(int flags)
{
    char byte;
    must(send(fds[1], "x", 1, 0) == 1, "send");
    interrupt_by(note, flags);
    begun = nanoseconds(CLOCK_MONOTONIC);
    errno = 0;
    say("result", recv(fds[0], &byte, 1, 0));
    say("errno", errno);
    say("handled", handled);
    say_elapsed();
}

static void alarmed(void)
{
    receive_alarmed(0);
}

static void alarmed_with_restart(void)
{
    receive_alarmed(SA_RESTART);
}

/* With a handler that can interrupt, and does not. */
static void handled_elsewhere(void)
{
    char byte;
    handle(SIGTERM, note, 0);
    must(send(fds[1], "x", 1, 0) == 1, "send");
    say("result", recv(fds[0], &byte, 1, 0));
}

/* The first datagram is thrown away, and while the next is awaited there is a signal. */
static void alarmed_behind_a_drop(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    struct timeval limit = {.tv_sec = 100};
    char byte;
    int fd = bound(AF_INET, SOCK_DGRAM, &address, &length);
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    must(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    interrupt_by(note, 0);
    begun = nanoseconds(CLOCK_MONOTONIC);
    say("result", recv(fd, &byte, 1, 0));
    say("errno", errno);
    say_elapsed();
}

/* A child of vfork receives, and the process after it. */
static void vforked(void)
{
    char bytes[2];
    must(send(fds[1], "xyz", 3, 0) == 3, "send");
    volatile ssize_t results[2] = {0, 0};
    pid_t pid = vfork(); /* NOLINT: what it is about */
    if (pid == 0) {
        results[0] = recv(fds[0], bytes, 1, 0);
        _exit(0);
    }
    results[1] = recv(fds[0], bytes, 1, 0);
    say("child", results[0]);
    say("parent", results[1]);
}

static sigjmp_buf out;

static void jump_out(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

static void jump(void)
{
    char byte;
    must(send(fds[1], "x", 1, 0) == 1, "send");
    begun = nanoseconds(CLOCK_MONOTONIC);
    if (sigsetjmp(out, 1) == 0) {
        interrupt_by(jump_out, 0);
        recv(fds[0], &byte, 1, 0);
        say("returned", 1);
    }
    say_elapsed();
    say("result", recv(fds[0], &byte, 1, 0));
}

/* What a receive that is not made leaves behind. */
static void cancel_type(void)
{
    char byte;
    int type = -1;
    recv(fds[0], &byte, 1, 0);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
    say("deferred", type == PTHREAD_CANCEL_DEFERRED);
}

static void error_queue(void)
{
    char byte;
    int tcp[2];
    tcp_pair(tcp, NULL);
    say("first", recv(tcp[0], &byte, 1, 0));
    say("queue", recv(tcp[0], &byte, 1, MSG_ERRQUEUE));
    say("errno", errno);
    say("last", recv(tcp[0], &byte, 1, 0));
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"cancel", cancel},
        {"cancel-with-data", cancel_with_data},
        {"alarmed", alarmed},
        {"alarmed-with-restart", alarmed_with_restart},
        {"jump", jump},
        {"handled-elsewhere", handled_elsewhere},
        {"alarmed-behind-a-drop", alarmed_behind_a_drop},
        {"vforked", vforked},
        {"cancel-type", cancel_type},
        {"error-queue", error_queue},
    };
    (void)argc;
    pair(SOCK_STREAM, fds);
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
