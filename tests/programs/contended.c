/* Receives that others get in the way of: threads at one socket, descriptors that become another's, what is not there
 * yet. Each way tells what became of it. */
#include "victim.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/ioctl.h>

static int fds[2];

static void limit_waiting(int fd, long milliseconds)
{
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
}

static void rest(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}, NULL);
}

/* ---- two threads, each with a datagram for it; who lost that is given another ---- */

static int pairs[2][2];
static char received_own[2];

static void *receive_own(void *number)
{
    must(recv(pairs[(long)number][0], &received_own[(long)number], 1, 0) == 1, "recv");
    return NULL;
}

static void two_sockets(void)
{
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) {
        pair(SOCK_DGRAM, pairs[i]);
        limit_waiting(pairs[i][0], 200000);
        must(pthread_create(&threads[i], NULL, receive_own, (void *)i) == 0, "pthread_create");
    }
    rest(100); /* both are to wait by then; where they do not, there is only less to see */
    for (long i = 0; i < 2; i++)
        must(send(pairs[i][1], "x", 1, 0) == 1, "send");
    for (long i = 0; i < 2; i++) {
        for (int size = 1; size != 0; sched_yield())
            must(ioctl(pairs[i][0], FIONREAD, &size) == 0, "FIONREAD");
        must(send(pairs[i][1], "y", 1, 0) == 1, "send");
    }
    for (long i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    say("lost", (received_own[0] == 'y') + (received_own[1] == 'y'));
}

/* ---- threads at one socket, whose peers are two ---- */

static atomic_long arrived[2];
static atomic_bool over;

static void *receive_any(void *nothing)
{
    char byte;
    while (!over)
        if (recv(fds[0], &byte, 1, 0) == 1)
            arrived[byte - 'a']++;
    return nothing;
}

static int sender_at(const char *address)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, address, &own.sin_addr);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&own, sizeof own) == 0, "bind");
    return fd;
}

/* So many of those that no rule names have been taken, and what came before them: the socket has room for some
 * hundreds, and loses what comes beyond. */
static void await_arrived(long number)
{
    int size;
    uint64_t end = nanoseconds(CLOCK_MONOTONIC) + UINT64_C(20000000000); /* should one be lost */
    while ((arrived[1] < number || (ioctl(fds[0], FIONREAD, &size) == 0 && size != 0)) &&
           nanoseconds(CLOCK_MONOTONIC) < end)
        sched_yield();
}

static void two_peers(void)
{
    enum { THREADS = 3, DATAGRAMS = 4000 };
    struct sockaddr_storage address;
    socklen_t length;
    pthread_t threads[THREADS];
    fds[0] = bound(AF_INET, SOCK_DGRAM, &address, &length);
    limit_waiting(fds[0], 200);
    int senders[2] = {sender_at("127.0.0.2"), sender_at("127.0.0.3")};
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, receive_any, NULL) == 0, "pthread_create");
    stay_on_this_cpu(); /* what is sent last arrives last */
    for (int i = 0; i < DATAGRAMS; i++) {
        if (i % 20 == 0)
            await_arrived(i);
        for (int n = 0; n < 2; n++)
            must(sendto(senders[n], n == 0 ? "a" : "b", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    }
    await_arrived(DATAGRAMS);
    over = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    say("sent", DATAGRAMS);
    say("named", arrived[0]);
    say("others", arrived[1]);
}

/* ---- a number that becomes another's while a receive on it waits ---- */

static long received_once;
static atomic_long receiver_tid;
static uint64_t begun;
static atomic_bool returned;

static void *receive_once(void *nothing)
{
    char bytes[1000];
    begun = nanoseconds(CLOCK_MONOTONIC);
    receiver_tid = gettid_now();
    received_once = recv(fds[0], bytes, sizeof bytes, 0);
    returned = true;
    return nothing;
}

/* Since the thread's receive began. */
static long elapsed(void)
{
    return (long)((nanoseconds(CLOCK_MONOTONIC) - begun) / 1000000);
}

/* Until the thread of receive_once() sleeps so, or it has returned. */
static void await_receiver(int where)
{
    char path[64];
    while (receiver_tid == 0)
        sched_yield();
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", (long)receiver_tid);
    for (int found = 0; found != -1 && (found & where) == 0 && !returned; sched_yield())
        found = blocked_in(path);
}

/* The thread's receive is under way before the number is another's. Returns the old connection's other end. */
static int become_another(pthread_t *thread)
{
    int old[2], number;
    pair(SOCK_STREAM, old);
    fds[0] = number = old[0];
    must(pthread_create(thread, NULL, receive_once, NULL) == 0, "pthread_create");
    await_receiver(IN_RECEIVE | IN_WAIT | IN_DELAY);
    close(old[0]);
    pair(SOCK_STREAM, fds);
    must(fds[0] == number, "the number is used anew");
    return old[1];
}

static long exchange_some(long size)
{
    char bytes[200] = "abc";
    must(send(fds[1], bytes, (size_t)size, 0) == size, "send");
    return recvfrom(fds[0], bytes, sizeof bytes, 0, NULL, NULL);
}

/* While it is delayed, by a second: it is a receive of the new one then. */
static void reused(void)
{
    pthread_t thread;
    become_another(&thread);
    say("in_time", elapsed() < 1000);
    must(send(fds[1], "x", 1, 0) == 1, "send");
    pthread_join(thread, NULL);
    say("thread", received_once);
    say("later", exchange_some(3));
}

/* While it waits: what it then gets is of the old one. */
static void reused_with_data(void)
{
    static char much[500];
    pthread_t thread;
    int old = become_another(&thread);
    long before = exchange_some(50);
    must(send(old, much, sizeof much, 0) == sizeof much, "send");
    pthread_join(thread, NULL);
    say("thread", received_once);
    say("before", before);
    say("next", exchange_some(60)); /* with these the new one has received 110 */
    say("last", exchange_some(3));
}

/* ---- the first receives on a connection, by two threads at once ---- */

static atomic_int turn, done;
static atomic_long escaped;

/* So that both begin at once where there are two CPUs; and where there is one, both begin. */
static void spin_until(atomic_int *count, int number)
{
    for (int spins = 0; *count < number; spins++)
        if (spins > 1000)
            sched_yield();
}

static void receive_first(void)
{
    char byte;
    if (recv(fds[0], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EIO)
        escaped++;
}

static void *take_turns(void *nothing)
{
    for (int own = 1;; own++) {
        spin_until(&turn, own);
        if (over)
            return nothing;
        receive_first();
        done = own;
    }
}

static void first_receives(void)
{
    enum { CONNECTIONS = 3000 };
    pthread_t thread;
    must(pthread_create(&thread, NULL, take_turns, NULL) == 0, "pthread_create");
    for (int i = 1; i <= CONNECTIONS; i++) {
        pair(SOCK_STREAM, fds);
        turn = i;
        receive_first();
        spin_until(&done, i);
        close(fds[0]);
        close(fds[1]);
    }
    over = true;
    turn = CONNECTIONS + 1;
    pthread_join(thread, NULL);
    say("escaped", escaped);
}

/* ---- what is not there yet, and what is in the way ---- */

/* The datagram that a thread has seen, and comes late to take, is gone by then: past libc, so that no rule is tried. It
 * is `in_time` if it was there before the time-out of a second was over, and gone before a delay of a second was. */
static void stolen(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    pthread_t thread;
    char byte;
    fds[0] = bound(AF_INET, SOCK_DGRAM, &address, &length);
    limit_waiting(fds[0], 1000);
    must(pthread_create(&thread, NULL, receive_once, NULL) == 0, "pthread_create");
    rest(500);
    must(sendto(fds[0], "x", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    await_receiver(IN_DELAY);
    bool in_time = !returned && syscall(SYS_recvfrom, fds[0], &byte, 1, MSG_DONTWAIT, NULL, NULL) == 1;
    pthread_join(thread, NULL);
    say("thread", received_once);
    say("elapsed", elapsed());
    say("in_time", in_time);
}

static int named(const char *name)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    /* An abstract name: nothing has to be removed. */
    snprintf(own.sun_path + 1, sizeof own.sun_path - 1, "%ld.%s", (long)getpid(), name);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(own.sun_path + 1));
    must(fd >= 0 && bind(fd, (struct sockaddr *)&own, length) == 0, "bind");
    return fd;
}

/* The second sender's address is longer than the first's. */
static void two_names(void)
{
    int receiver = named("receiver"), senders[2] = {named("a"), named("much longer than that")};
    struct sockaddr_un to, from;
    socklen_t to_length = sizeof to, own_length = sizeof from, from_length = sizeof from;
    must(getsockname(receiver, (struct sockaddr *)&to, &to_length) == 0, "getsockname");
    for (int i = 0; i < 2; i++)
        must(sendto(senders[i], "x", 1, 0, (struct sockaddr *)&to, to_length) == 1, "sendto");
    must(getsockname(senders[1], (struct sockaddr *)&from, &own_length) == 0, "getsockname");
    char byte;
    memset(&from, 0, sizeof from);
    say("received", recvfrom(receiver, &byte, 1, 0, (struct sockaddr *)&from, &from_length));
    say("whole", from_length == own_length && strstr(from.sun_path + 1, ".much longer than that") != NULL);
}

/* An address that there is no room for, and what stands where it would. */
static void no_room(void)
{
    struct sockaddr_storage address;
    socklen_t length, room = 0;
    char byte;
    fds[0] = bound(AF_INET, SOCK_DGRAM, &address, &length);
    for (int i = 0; i < 2; i++)
        must(sendto(fds[0], "x", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    struct sockaddr_storage nothing, canary;
    memset(&nothing, 0x5a, sizeof nothing);
    canary = nothing;
    say("received", recvfrom(fds[0], &byte, 1, 0, (struct sockaddr *)&nothing, &room));
    say("room", room);
    say("untouched", memcmp(&nothing, &canary, sizeof nothing) == 0);
}

/* What was cut off, or thrown away, is nowhere to be read. */
static void no_trace_left(void)
{
    char bytes[10] = {0};
    pair(SOCK_DGRAM, fds);
    must(send(fds[1], "secretdata", 10, 0) == 10, "send");
    say("received", recv(fds[0], bytes, sizeof bytes, MSG_DONTWAIT));
    long left = 0;
    for (size_t i = 3; i < sizeof bytes; i++)
        left += bytes[i] != 0;
    say("left", left);
}

static void *receive_idle(void *fd)
{
    char byte;
    recv((int)(long)fd, &byte, 1, 0);
    return NULL;
}

/* A thread that waits where nothing comes, while data comes elsewhere. */
static void idle_elsewhere(void)
{
    pthread_t thread;
    char bytes[10];
    pair(SOCK_STREAM, pairs[0]);
    pair(SOCK_STREAM, pairs[1]);
    must(pthread_create(&thread, NULL, receive_idle, (void *)(long)pairs[0][0]) == 0, "pthread_create");
    rest(100);
    must(send(pairs[1][1], "0123456789", 10, 0) == 10, "send");
    say("received", recv(pairs[1][0], bytes, sizeof bytes, 0));
    close(pairs[0][1]);
    pthread_join(thread, NULL);
}

/* An error that waits at the socket. */
static void pending_error(void)
{
    struct sockaddr_storage address, nobody;
    socklen_t length;
    int on = 1;
    stay_on_this_cpu();
    refusing(SOCK_DGRAM, &nobody, &length);
    fds[0] = bound(AF_INET, SOCK_DGRAM, &address, &length);
    must(setsockopt(fds[0], IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0, "IP_RECVERR");
    must(sendto(fds[0], "x", 1, 0, (struct sockaddr *)&nobody, length) == 1, "sendto");
    struct pollfd refused = {.fd = fds[0]};
    while ((refused.revents & POLLERR) == 0)
        poll(&refused, 1, 10);
    dprintf(STDOUT_FILENO, "seen");
    see(fds[0], 1, MSG_DONTWAIT);
    see(fds[0], 1, MSG_DONTWAIT);
    dprintf(STDOUT_FILENO, "\n");
}

/* Nothing at first, then more than enough. */
static void late(int type)
{
    pair(type, fds);
    dprintf(STDOUT_FILENO, "seen");
    see(fds[0], 10, MSG_DONTWAIT);
    must(send(fds[1], "0123456789", 10, 0) == 10, "send");
    see(fds[0], 10, MSG_DONTWAIT);
    dprintf(STDOUT_FILENO, "\n");
}

static void late_stream(void)
{
    late(SOCK_STREAM);
}

static void late_datagram(void)
{
    late(SOCK_DGRAM);
}

/* Receives whose interruption is left to the program where a time-out is set. */
static void exempt(void)
{
    int lowest = 4;
    char bytes[8];
    pair(SOCK_STREAM, fds);
    limit_waiting(fds[0], 2000);
    must(send(fds[1], "01234567", 8, 0) == 8, "send");
    say("looked", recv(fds[0], bytes, 8, MSG_PEEK | MSG_WAITALL));
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &lowest, sizeof lowest) == 0, "SO_RCVLOWAT");
    say("received", recv(fds[0], bytes, 8, 0));
}

/* MSG_TRUNC means nothing to a unix stream. */
static void truncated(void)
{
    char bytes[4] = "....";
    pair(SOCK_STREAM, fds);
    must(send(fds[1], "abcd", 4, 0) == 4, "send");
    say("received", recv(fds[0], bytes, 4, MSG_TRUNC));
    say("intact", memcmp(bytes, "abcd", 4) == 0);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        {"two-sockets", two_sockets},
        {"two-peers", two_peers},
        {"reused", reused},
        {"reused-with-data", reused_with_data},
        {"first-receives", first_receives},
        {"pending-error", pending_error},
        {"late-stream", late_stream},
        {"late-datagram", late_datagram},
        {"exempt", exempt},
        {"truncated", truncated},
        {"stolen", stolen},
        {"no-room", no_room},
        {"no-trace-left", no_trace_left},
        {"idle-elsewhere", idle_elsewhere},
        {"two-names", two_names},
    };
    (void)argc;
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
