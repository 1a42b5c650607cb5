/* Receives as its arguments say, from a socket that it has sent to itself beforehand, and tells what came of each call:
 * ` result/errno`, the first letter of the data and, of recvfrom, `@address length,scope id`. Message k is made of the
 * letter 'a' + k; a stream is one long alphabet.
 *
 *   kind=tcp|unix|seqpacket|dgram|udp|udp6  call=recv|recvfrom|both  flags=N  length=N  count=N   what is received
 *   send=N  size=N   so many messages of that size before; late=N  more, one every `pause` ms (50), from a thread
 *   close=1          the sender closes then          timeout=MS  SO_RCVTIMEO
 *   dup=1            every second call is made on a duplicate; dup=2: on the duplicate alone, the first is closed
 *   fork=N           so many children, one after the other, do the same before the process does; early=1: and it has
 *                    done so before them, too
 *   no-poll=1        by RLIMIT_NOFILE, which poll(2) holds its count against
 *   elapsed=1        tells how many milliseconds the calls took in all; intact=1: whether the stream is the one sent */
#include "victim.h"

#include <sys/resource.h>
#include <sys/wait.h>

static char **arguments;
static int sender;

static void send_message(long number, long size, bool stream)
{
    char message[4096];
    for (long i = 0; i < size; i++)
        message[i] = (char)('a' + (stream ? (number * size + i) % 26 : number % 26));
    must(send(sender, message, (size_t)size, 0) == size, "send");
}

static bool is_stream(const char *kind)
{
    return strcmp(kind, "tcp") == 0 || strcmp(kind, "unix") == 0;
}

static int open_pair(const char *kind)
{
    int fds[2];
    if (strcmp(kind, "tcp") == 0) {
        tcp_pair(fds, NULL);
    } else if (strncmp(kind, "udp", 3) == 0) {
        struct sockaddr_storage address, other;
        socklen_t length, other_length;
        int family = strcmp(kind, "udp6") == 0 ? AF_INET6 : AF_INET;
        fds[0] = bound(family, SOCK_DGRAM, &address, &length);
        fds[1] = bound(family, SOCK_DGRAM, &other, &other_length);
        must(connect(fds[1], (struct sockaddr *)&address, length) == 0, "connect");
    } else {
        pair(strcmp(kind, "unix") == 0        ? SOCK_STREAM
             : strcmp(kind, "seqpacket") == 0 ? SOCK_SEQPACKET
                                              : SOCK_DGRAM,
             fds);
    }
    sender = fds[1];
    return fds[0];
}

static void *send_late(void *nothing)
{
    long late = number(arguments, "late", 0), size = number(arguments, "size", 10),
         first = number(arguments, "send", 3);
    for (long i = 0; i < late; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000 * number(arguments, "pause", 50)}, NULL);
        send_message(first + i, size, is_stream(option(arguments, "kind", "tcp")));
    }
    return nothing;
}

static char expected = 'a';
static bool intact = true;

static void receive_one(int fd, bool from, size_t length, int flags)
{
    char buffer[4096];
    struct sockaddr_in6 address = {.sin6_scope_id = 77};
    socklen_t address_length = sizeof address;
    memset(buffer, '-', sizeof buffer);
    errno = 0;
    ssize_t result = from ? recvfrom(fd, buffer, length, flags, (struct sockaddr *)&address, &address_length)
                          : recv(fd, buffer, length, flags);
    char text[64];
    int end = snprintf(text, sizeof text, " %zd/%d%.1s", result, result < 0 ? errno : 0, result > 0 ? buffer : "");
    if (from)
        end +=
            snprintf(text + end, sizeof text - (size_t)end, "@%d,%d", (int)address_length, (int)address.sin6_scope_id);
    must(write(STDOUT_FILENO, text, (size_t)end) == end, "write");
    for (ssize_t i = 0; i < result && (flags & MSG_PEEK) == 0;
         i++, expected = (char)(expected == 'z' ? 'a' : expected + 1))
        intact &= buffer[i] == expected;
}

static void receive_all(int fd)
{
    const char *call = option(arguments, "call", "recv");
    bool both = strcmp(call, "both") == 0; /* in turns */
    long count = number(arguments, "count", 3), dups = number(arguments, "dup", 0);
    uint64_t begun = nanoseconds(CLOCK_MONOTONIC);
    int copy = dups != 0 ? dup(fd) : fd;
    if (dups == 2)
        close(fd);
    for (long i = 0; i < count; i++)
        receive_one(dups == 2 || (dups == 1 && i % 2 == 1) ? copy : fd,
                    both ? i % 2 == 1 : strcmp(call, "recvfrom") == 0, (size_t)number(arguments, "length", 100),
                    (int)number(arguments, "flags", 0));
    if (number(arguments, "intact", 0) != 0)
        dprintf(STDOUT_FILENO, " intact %d", intact);
    if (number(arguments, "elapsed", 0) != 0)
        dprintf(STDOUT_FILENO, "\nelapsed %lld", (long long)(nanoseconds(CLOCK_MONOTONIC) - begun) / 1000000);
    must(write(STDOUT_FILENO, "\n", 1) == 1, "write");
}

static void show(void)
{
    const char *kind = option(arguments, "kind", "tcp");
    int fd = open_pair(kind);
    long timeout = number(arguments, "timeout", 0);
    struct timeval limit = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
    if (timeout != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    long send = number(arguments, "send", 3), size = number(arguments, "size", 10);
    for (long i = 0; i < send; i++)
        send_message(i, size, is_stream(kind));
    /* Of datagrams it is the first that a receive may find or not: each of the others is waited for. */
    if (send > 0)
        wait_for_bytes(fd, is_stream(kind) ? send * size : 1);
    if (number(arguments, "close", 0) != 0)
        close(sender);
    pthread_t thread;
    if (number(arguments, "late", 0) != 0)
        must(pthread_create(&thread, NULL, send_late, NULL) == 0, "pthread_create");
    if (number(arguments, "no-poll", 0) != 0)
        must(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0}) == 0, "RLIMIT_NOFILE");
    receive_all(fd);
}

int main(int argc, char **argv)
{
    (void)argc;
    stay_on_this_cpu();
    arguments = argv + 1;
    if (number(arguments, "early", 0) != 0)
        show();
    for (long child = number(arguments, "fork", 0); child > 0; child--) {
        pid_t pid = fork();
        if (pid == 0) {
            show();
            return 0;
        }
        must(waitpid(pid, NULL, 0) == pid, "waitpid");
    }
    show();
    return 0;
}
