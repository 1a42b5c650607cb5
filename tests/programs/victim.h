/* What the victim programs share. A victim shows one behaviour, and says on stdout what it saw itself, as lines of
 * `key value`: tests hold that against the trace. Nothing here knows of recvshim. */
#ifndef VICTIM_H
#define VICTIM_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* By one write and no other system call (dprintf makes more): victims fork, are killed, leave through _exit, and may
 * not be allowed anything else. */
static inline void say(const char *key, long long value)
{
    char line[128];
    int length = snprintf(line, sizeof line, "%s %lld\n", key, value);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(71);
}

/* A preparation that fails is no result. */
static inline void must(bool worked, const char *what)
{
    if (worked)
        return;
    dprintf(STDERR_FILENO, "victim: %s: %s\n", what, strerror(errno));
    _exit(70);
}

/* The value of an argument `name=value`. */
static inline const char *option(char **argv, const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (; *argv != NULL; argv++)
        if (strncmp(*argv, name, length) == 0 && (*argv)[length] == '=')
            return *argv + length + 1;
    return otherwise;
}

static inline long number(char **argv, const char *name, long otherwise)
{
    const char *value = option(argv, name, NULL);
    return value == NULL ? otherwise : strtol(value, NULL, 10);
}

static inline uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static inline long gettid_now(void)
{
    return syscall(SYS_gettid);
}

/* Even over loopback what was sent takes its time: on a busy machine the kernel leaves it to a thread of its own. */
static inline void wait_for(int fd, short events)
{
    struct pollfd socket = {.fd = fd, .events = events};
    must(poll(&socket, 1, -1) == 1, "poll");
}

/* The same for so many bytes of a stream, or of the first datagram: poll tells of an end that comes before them, too.
 */
static inline void wait_for_bytes(int fd, long bytes)
{
    for (int there = 0; there < bytes; sched_yield())
        must(ioctl(fd, FIONREAD, &there) == 0, "FIONREAD");
}

/* On this CPU alone from here on, with all that the thread starts. What a thread of many CPUs sends over loopback while
 * they are busy may arrive in another order, and be seen when the kernel has half done with it: one CPU brings one
 * after the other, and runs nobody meanwhile. */
static inline void stay_on_this_cpu(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    must(sched_setaffinity(0, sizeof here, &here) == 0, "sched_setaffinity");
}

/* What a process or thread may sleep in: a receive, the wait of one that is retried, and the delay of a rule. */
enum { IN_RECEIVE = 1, IN_WAIT = 2, IN_DELAY = 4 };

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static inline bool is_one_of(long number, const long *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* In which of them it does, by its file `syscall` of /proc, which begins with the number of the call, or with
 * "running". On i386 libc reaches sockets through one call, and waits with 64-bit times; of what qemu runs on x86-64
 * these are the numbers there. */
static inline int sleeps_in(const char *text)
{
#ifdef __i386__
    static const long receives[] = {SYS_socketcall, SYS_recvfrom, SYS_recvmsg,        SYS_recvmmsg,
                                    SYS_read,       SYS_readv,    SYS_recvmmsg_time64};
    static const long waits[] = {SYS_ppoll, SYS_ppoll_time64},
                      delays[] = {SYS_clock_nanosleep, SYS_clock_nanosleep_time64};
#elif defined __aarch64__
    static const long receives[] = {45, 47, 299, 0, 19}, waits[] = {271}, delays[] = {230};
#else
    static const long receives[] = {SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_read, SYS_readv};
    static const long waits[] = {SYS_ppoll}, delays[] = {SYS_clock_nanosleep};
#endif
    if (text[0] < '0' || text[0] > '9')
        return 0;
    const long number = strtol(text, NULL, 10);
    return is_one_of(number, receives, COUNT_OF(receives)) * IN_RECEIVE |
           is_one_of(number, waits, COUNT_OF(waits)) * IN_WAIT | is_one_of(number, delays, COUNT_OF(delays)) * IN_DELAY;
}

/* The same by its path; -1 where the process or thread is there no more. */
static inline int blocked_in(const char *path)
{
    char text[32];
    int fd = open(path, O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return -1;
    text[length] = '\0';
    return sleeps_in(text);
}

/* Until it sleeps in one of these. */
static inline void wait_until_blocked(const char *path, int where)
{
    for (int found = 0; (found & where) == 0; sched_yield()) {
        found = blocked_in(path);
        must(found >= 0, path);
    }
}

static inline void pair(int type, int fds[2])
{
    must(socketpair(AF_UNIX, type, 0, fds) == 0, "socketpair");
}

/* A socket on loopback, bound to a port of the kernel's choice; its address is returned. */
static inline int bound(int family, int type, struct sockaddr_storage *address, socklen_t *length)
{
    memset(address, 0, sizeof *address);
    address->ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_loopback;
        *length = sizeof(struct sockaddr_in6);
    } else {
        ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *length = sizeof(struct sockaddr_in);
    }
    int fd = socket(family, type, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)address, *length) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)address, length) == 0, "getsockname");
    return fd;
}

/* The address of a socket that is there and takes nothing from anybody: whoever sends or connects to it is refused, and
 * nobody else is given its port meanwhile. */
static inline void refusing(int type, struct sockaddr_storage *address, socklen_t *length)
{
    int fd = bound(AF_INET, type, address, length);
    if (type == SOCK_DGRAM) /* from itself alone */
        must(connect(fd, (struct sockaddr *)address, *length) == 0, "connect");
}

/* The memory that what has arrived at a socket takes; 0 always where the kernel, or qemu, does not tell. */
static inline uint32_t memory_taken(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof memory;
    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length);
    return memory[SK_MEMINFO_RMEM_ALLOC];
}

/* A datagram to a socket that nobody else sends to and nobody receives from, until it has arrived there. */
static inline void send_and_await(int fd, const void *data, size_t size, int receiver,
                                  const struct sockaddr_storage *address, socklen_t length)
{
    uint32_t before = memory_taken(receiver);
    must(sendto(fd, data, size, 0, (const struct sockaddr *)address, length) == (ssize_t)size, "sendto");
    wait_for(receiver, POLLIN);
    while (before != 0 && memory_taken(receiver) == before)
        sched_yield();
}

/* A TCP connection over loopback: fds[0] was accepted, fds[1] connected. The listener inherits nothing but `timeout`.
 */
static inline void tcp_pair(int fds[2], const struct timeval *listener_timeout)
{
    struct sockaddr_storage address;
    socklen_t length;
    int listener = bound(AF_INET, SOCK_STREAM, &address, &length);
    if (listener_timeout != NULL)
        must(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, listener_timeout, sizeof *listener_timeout) == 0, "timeout");
    must(listen(listener, 1) == 0, "listen");
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fds[1], (struct sockaddr *)&address, length) == 0, "connect");
    fds[0] = accept(listener, NULL, NULL);
    must(fds[0] >= 0, "accept");
    close(listener);
}

static inline void handle(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_flags = flags};
    action.sa_handler = handler;
    must(sigaction(signal, &action, NULL) == 0, "sigaction");
}

/* SIGALRM every so often; 0 stops it. */
static inline void tick(long microseconds)
{
    struct timeval period = {.tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000};
    struct itimerval timer = {period, period};
    must(setitimer(ITIMER_REAL, &timer, NULL) == 0, "setitimer");
}

/* A thread that gets no SIGALRM: the ticks are for the one that starts it. */
static inline pthread_t start_undisturbed(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    must(pthread_create(&thread, NULL, run, argument) == 0, "pthread_create");
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    return thread;
}

/* A receive, and what came of it: ` result/errno`. */
static inline void see(int fd, size_t length, int flags)
{
    char buffer[16];
    errno = 0;
    ssize_t result = recv(fd, buffer, length < sizeof buffer ? length : sizeof buffer, flags);
    dprintf(STDOUT_FILENO, " %zd/%d", result, result < 0 ? errno : 0);
}

/* One of a victim's ways to behave. */
struct way {
    const char *name;
    void (*show)(void);
};

/* Show the way that argument 1 names; the exit status of main(). */
static inline int show_way(const struct way *ways, size_t count, char **argv)
{
    for (size_t i = 0; argv[1] != NULL && i < count; i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].show();
            return 0;
        }
    }
    return 64;
}

/* Closed, the socket sends a reset and no FIN. */
static inline void reset_at_close(int fd)
{
    struct linger at_once = {1, 0};
    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0, "SO_LINGER");
}

/* Send a byte to oneself and receive it, so many times; how many arrived. */
static inline long exchange(const int fds[2], long times)
{
    long arrived = 0;
    for (long i = 0; i < times; i++) {
        char byte = (char)i;
        must(send(fds[1], &byte, 1, 0) == 1, "send");
        if (recv(fds[0], &byte, 1, 0) == 1)
            arrived++;
    }
    return arrived;
}

#endif
