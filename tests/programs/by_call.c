/* What every receive call does alike: by_call WAY call=CALL. */
#include "by_call.h"
#include "ticks.h"

#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>

static const char *call;

static atomic_int ticks, returned;

static void on_alarm(int signal)
{
    (void)signal;
    ticks++;
}

static unsigned long hash(unsigned long so_far, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        so_far = so_far * 31 + (unsigned char)bytes[i];
    return so_far;
}

/* A stream of bytes that are all different from their neighbours, and its end. */
static void show_stream(void)
{
    enum { TOTAL = 3000, LENGTH = 97 };
    int fds[2];
    char sent[TOTAL], buffer[LENGTH];
    unsigned long seen = 7;
    long long total = 0, receives = 0;
    ssize_t result;
    for (int i = 0; i < TOTAL; i++)
        sent[i] = (char)(i * 7 + i / 256);
    tcp_pair(fds, NULL);
    must(send(fds[1], sent, TOTAL, 0) == TOTAL, "send");
    shutdown(fds[1], SHUT_WR);
    say("fd", fds[0]);
    errno = 4242;
    while ((result = receive_by(call, fds[0], buffer, LENGTH, 0, NULL, NULL)) > 0) {
        seen = hash(seen, buffer, (size_t)result);
        total += result;
        receives++;
        must(errno == 4242, "errno survives");
    }
    say("bytes", total);
    say("receives", receives);
    say("right", seen == hash(7, sent, TOTAL));
    say("end", result);
    say("again", receive_by(call, fds[0], buffer, LENGTH, 0, NULL, NULL));
}

/* Once the receive has been interrupted, however long the machine takes for it; at the latest when it is over. */
static void *send_late(void *fd)
{
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (ticks < 5 && returned == 0);
    must(send((int)(intptr_t)fd, "late", 4, 0) == 4, "send");
    return NULL;
}

/* A blocked receive under a timer that interrupts it: what comes of it. */
static void show_interrupted(void)
{
    int fds[2];
    char buffer[16];
    tcp_pair(fds, NULL);
    handle(SIGALRM, on_alarm, 0);
    pthread_t thread = start_undisturbed(send_late, (void *)(intptr_t)fds[1]);
    begin_ticks(5000);
    ssize_t result = receive_by(call, fds[0], buffer, sizeof buffer, 0, NULL, NULL);
    int error = errno;
    end_ticks();
    returned = 1;
    pthread_join(thread, NULL);
    say("result", result);
    say("interrupted", result < 0 && error == EINTR);
}

/* The same with SO_RCVTIMEO, and nothing to come. */
static void show_timeout(void)
{
    int fds[2];
    char buffer[16];
    struct timeval timeout = {.tv_usec = 200000};
    tcp_pair(fds, NULL);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_alarm, 0);
    begin_ticks(20000);
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    ssize_t result = receive_by(call, fds[0], buffer, sizeof buffer, 0, NULL, NULL);
    int error = errno;
    say("milliseconds", (long long)((nanoseconds(CLOCK_MONOTONIC) - begin) / 1000000));
    end_ticks();
    say("result", result);
    say("expired", result < 0 && error == EAGAIN);
    say("ticks", ticks);
}

/* Once the main thread waits by poll, as it does after an interruption. */
static void *send_to_the_waiting(void *fd)
{
    char path[64], sent[40];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)getpid());
    wait_until_blocked(path, IN_WAIT);
    for (int i = 0; i < 40; i++)
        sent[i] = (char)(i + 1);
    must(send((int)(intptr_t)fd, sent, sizeof sent, 0) == sizeof sent, "send");
    return NULL;
}

/* A datagram in more pieces than are cut for any other, under an SO_RCVTIMEO, after ticks. */
static void show_scattered(void)
{
    enum { PIECES = 40 };
    int fds[2], right = 0;
    char buffer[PIECES] = "";
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = PIECES};
    struct timeval timeout = {.tv_sec = 100};
    for (int i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){buffer + i, 1};
    pair(SOCK_DGRAM, fds);
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0, "SO_RCVTIMEO");
    handle(SIGALRM, on_alarm, 0);
    pthread_t thread = start_undisturbed(send_to_the_waiting, (void *)(intptr_t)fds[1]);
    begin_ticks(5000);
    say("result", strcmp(call, "readv") == 0 ? readv(fds[0], pieces, PIECES) : recvmsg(fds[0], &message, 0));
    end_ticks();
    pthread_join(thread, NULL);
    for (int i = 0; i < PIECES; i++)
        right += buffer[i] == i + 1;
    say("right", right);
}

/* A datagram larger than the room for it, and its source; then an empty one. */
static void show_datagrams(void)
{
    struct sockaddr_storage to, from, source = {0};
    socklen_t length, from_length, room = sizeof source;
    char buffer[8] = "", guard[4] = "";
    int receiver = bound(AF_INET6, SOCK_DGRAM, &to, &length), sender = bound(AF_INET6, SOCK_DGRAM, &from, &from_length);
    must(sendto(sender, "0123456789", 10, 0, (struct sockaddr *)&to, length) == 10, "sendto");
    wait_for(receiver, POLLIN);
    must(sendto(sender, "", 0, 0, (struct sockaddr *)&to, length) == 0, "sendto");
    say("fd", receiver);
    say("port", ntohs(((struct sockaddr_in6 *)&from)->sin6_port));
    say("result", receive_by(call, receiver, buffer, sizeof buffer, 0, &source, &room));
    say("right", memcmp(buffer, "01234567", 8) == 0 && guard[0] == 0);
    say("source", ((struct sockaddr_in6 *)&source)->sin6_port == ((struct sockaddr_in6 *)&from)->sin6_port);
    say("room", room);
    wait_for(receiver, POLLIN);
    say("empty", receive_by(call, receiver, buffer, sizeof buffer, 0, NULL, NULL));
    say("nothing", receive_by(call, receiver, buffer, 0, MSG_DONTWAIT, NULL, NULL));
}

/* One in each buffer of a stream; the peer's end is a reset. */
static void show_reset(void)
{
    int fds[2];
    char buffer[16];
    tcp_pair(fds, NULL);
    reset_at_close(fds[1]);
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    ssize_t result = receive_by(call, fds[0], buffer, sizeof buffer, 0, NULL, NULL);
    say("reset", result < 0 && errno == ECONNRESET);
    say("after", receive_by(call, fds[0], buffer, sizeof buffer, 0, NULL, NULL));
}

#define FIRST_ARGUMENT offsetof(struct seccomp_data, args[0]) /* its lower half: little-endian */

/* Datagrams and a stream under a filter that lets nothing pass but the call itself. */
static void show_filtered(void)
{
    /* What libc makes of each; on i386 some are one call, whose first argument tells them apart. */
    static const struct {
        const char *call;
        unsigned int number, argument;
    } numbers[] = {
#ifdef SYS_socketcall
        {"recv", SYS_socketcall, SYS_RECV},
        {"recvfrom", SYS_socketcall, SYS_RECVFROM},
        {"recvmsg", SYS_socketcall, SYS_RECVMSG},
        {"recvmmsg", SYS_recvmmsg_time64, 0},
#else
        {"recv", SYS_recvfrom, 0},   {"recvfrom", SYS_recvfrom, 0},
        {"recvmsg", SYS_recvmsg, 0}, {"recvmmsg", SYS_recvmmsg, 0},
#endif
        {"read", SYS_read, 0},
        {"readv", SYS_readv, 0},
    };
    unsigned int own = 0, argument = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(call, numbers[i].call) == 0) {
            own = numbers[i].number;
            argument = numbers[i].argument;
        }
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument != 0 ? FIRST_ARGUMENT : offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument != 0 ? argument : own, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    struct sockaddr_storage to;
    socklen_t length;
    int fds[2], datagrams = bound(AF_INET, SOCK_DGRAM, &to, &length);
    char buffer[8];
    tcp_pair(fds, NULL);
    for (int i = 0; i < 3; i++)
        must(sendto(datagrams, "12345", 5, 0, (struct sockaddr *)&to, length) == 5, "sendto");
    must(send(fds[1], "12345", 5, 0) == 5, "send");
    wait_for(datagrams, POLLIN);
    wait_for(fds[0], POLLIN);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    say("datagram", receive_by(call, datagrams, buffer, sizeof buffer, 0, NULL, NULL));
    say("stream", receive_by(call, fds[0], buffer, sizeof buffer, 0, NULL, NULL));
    _exit(0);
}

/* The first receive of a descriptor of which nothing is known, in the kernel's strict mode. */
static void show_strict(void)
{
    int fds[2];
    char buffer[8];
    must(pipe(fds) == 0 && write(fds[1], "12345", 5) == 5, "pipe");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0, "PR_SET_SECCOMP");
    say("pipe", read(fds[0], buffer, sizeof buffer));
    syscall(SYS_exit, 0);
}

/* What the kernel refuses. On 32-bit machines libc itself follows the pointers, to convert times. */
static void show_refused(void)
{
    const bool libc_follows = sizeof(void *) == 4;
    int fds[2];
    char byte;
    pair(SOCK_STREAM, fds);
    must(send(fds[1], "x", 1, 0) == 1, "send");
    say("bad_fd", receive_by(call, -1, &byte, 1, 0, NULL, NULL) < 0 ? errno : 0);
    say("closed_fd", receive_by(call, 999, &byte, 1, 0, NULL, NULL) < 0 ? errno : 0);
    say("bad_buffer", receive_by(call, fds[0], (void *)8, 4, 0, NULL, NULL) < 0 ? errno : 0);
    for (int i = 0; i < 3; i++) {
        void *bad = (void *)(uintptr_t)(i == 0 ? 0 : i == 1 ? 16 : UINTPTR_MAX - 64);
        if (strcmp(call, "recvmsg") == 0 && !libc_follows)
            say("bad_message", recvmsg(fds[0], bad, 0) < 0 ? errno : 0);
        if (strcmp(call, "recvmmsg") == 0 && !libc_follows)
            say("bad_messages", recvmmsg(fds[0], bad, 1, 0, NULL) < 0 ? errno : 0);
        if (strcmp(call, "readv") == 0)
            say("bad_vector", readv(fds[0], bad, 1) < 0 ? errno : 0);
    }
    if (strcmp(call, "readv") == 0) {
        volatile int counts[] = {-1, 1 << 20}; /* a compiler that sees them warns */
        say("negative", readv(fds[0], NULL, counts[0]) < 0 ? errno : 0);
        say("too_many", readv(fds[0], (struct iovec *)&fds, counts[1]) < 0 ? errno : 0);
    }
    if (strcmp(call, "recvmmsg") == 0) {
        struct iovec piece = {&byte, 1};
        struct mmsghdr one = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
        struct timespec bad_time = {.tv_nsec = 2000000000};
        say("no_messages", recvmmsg(fds[0], &one, 0, 0, NULL));
        say("bad_timeout", recvmmsg(fds[0], &one, 1, 0, &bad_time) < 0 ? errno : 0);
        if (!libc_follows)
            say("bad_timeout_pointer", recvmmsg(fds[0], &one, 1, 0, (struct timespec *)8) < 0 ? errno : 0);
    }
    say("still_there", receive_by(call, fds[0], &byte, 1, 0, NULL, NULL));
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"stream", show_stream},       {"interrupted", show_interrupted},
                                      {"timeout", show_timeout},     {"datagrams", show_datagrams},
                                      {"reset", show_reset},         {"refused", show_refused},
                                      {"scattered", show_scattered}, {"filtered", show_filtered},
                                      {"strict", show_strict}};
    call = option(argv, "call", "recv");
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
