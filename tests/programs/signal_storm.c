/* Four threads receive a transfer over TCP each, for seconds=N and until there was something to see, while another
 * process sends this one up to a hundred thousand signals a second: SIGUSR1 and SIGTERM without SA_RESTART, SIGUSR2
 * with it. how=kill, or queue: by sigqueue, with two real-time signals beside them, of which none is dropped. Two of
 * the sockets have SO_RCVTIMEO, of a minute, and two of the threads ask for MSG_WAITALL. legal=MASK   which handlers
 * EINTR may follow: 1 without SA_RESTART, 2 SIGTERM, 4 SIGUSR1, 8 none at all: a signal that another thread took while
 * this one woke up interrupts a receive with SO_RCVTIMEO, natively, too Says for all threads: bytes, expected, wrong
 * (bytes that came otherwise), eintr (that reached the program), illegal (of these: without such a handler having run),
 * failed (any other error); handled, sent and seconds tell the rate. */
#include "victim.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { RECEIVERS = 4, CHUNK = 8192, PLAIN = 1, TERM = 2, USR1 = 4, NONE = 8, ENOUGH = 1000, BACKLOG = 1000 };
enum { SEEN_S = 60, JOIN_S = 90 }; /* reached only by what fails */

/* Handlers return more slowly to 32-bit programs of a 64-bit kernel: what is queued for them would never be over. */
enum { A_SECOND = sizeof(long) == 8 ? 100000 : 20000 };

static struct shared {
    atomic_bool over, met; /* met: by enough signals, and interrupted where it may be */
    atomic_ullong transmitted[RECEIVERS];
    atomic_ullong signals;
    atomic_ullong queued, taken; /* of those of which none is dropped */
} * shared;

static __thread volatile sig_atomic_t ran;
static atomic_ullong handled, bytes, wrong, eintr, illegal, failed;
static long legal;
static int sockets[RECEIVERS][2];

static void on_signal(int signal)
{
    if (++handled > ENOUGH && (legal == 0 || eintr > 0))
        shared->met = true;
    if (signal >= SIGRTMIN)
        shared->taken++;
    if (signal != SIGUSR2 && signal != SIGRTMIN + 1)
        ran |= PLAIN;
    if (signal == SIGTERM)
        ran |= TERM;
    if (signal == SIGUSR1)
        ran |= USR1;
}

/* The stream counts in words of 64 bits, so that a byte lost, doubled or moved shows. */
static unsigned char byte_at(uint64_t offset)
{
    return (unsigned char)(offset / 8 * 0x9e3779b97f4a7c15U >> 8 * (offset % 8));
}

static void *receive(void *argument)
{
    static __thread unsigned char buffer[CHUNK];
    long me = (long)(intptr_t)argument;
    uint64_t offset = 0;
    for (;;) {
        ran = 0;
        ssize_t part = recv(sockets[me][0], buffer, sizeof buffer, me % 2 ? MSG_WAITALL : 0);
        if (part == 0)
            break;
        if (part < 0 && errno == EINTR) {
            eintr++;
            illegal += ((ran | NONE) & legal) == 0;
            continue;
        }
        if (part < 0) {
            failed++;
            break;
        }
        for (ssize_t i = 0; i < part; i++, offset++)
            wrong += buffer[i] != byte_at(offset);
    }
    bytes += offset;
    return NULL;
}

static void transmit(long milliseconds)
{
    static unsigned char chunk[CHUNK];
    const uint64_t end = nanoseconds(CLOCK_MONOTONIC) + (uint64_t)milliseconds * 1000000;
    uint64_t offset = 0;
    for (unsigned round = 0;; round++) {
        uint64_t now = nanoseconds(CLOCK_MONOTONIC);
        if (now >= end && (shared->met || now >= end + SEEN_S * UINT64_C(1000000000)))
            break;
        size_t length = 1 + round * 37 % (CHUNK - 1);
        for (size_t i = 0; i < length; i++)
            chunk[i] = byte_at(offset + i);
        for (int to = 0; to < RECEIVERS; to++) {
            for (size_t sent = 0; sent < length;) {
                ssize_t part = send(sockets[to][1], chunk + sent, length - sent, MSG_NOSIGNAL);
                must(part > 0, "send");
                sent += (size_t)part;
            }
            shared->transmitted[to] += length;
        }
        offset += length;
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* a receiver that never waits is never interrupted */
    }
    shared->over = true;
}

/* A process that always has a signal pending does nothing but handle it: where it does not keep up, as on a busy
 * machine, it is given the time to take what has been queued, and what was missed meanwhile is not made up for. */
static void send_signals(pid_t receiver, bool queue)
{
    const int signals[] = {SIGUSR1, SIGUSR2, SIGUSR1, SIGTERM, SIGRTMIN, SIGRTMIN + 1};
    const uint64_t period = 1000000000 / A_SECOND;
    uint64_t due = nanoseconds(CLOCK_MONOTONIC);
    for (uint64_t round = 0; !shared->over; round++) {
        for (due += period; nanoseconds(CLOCK_MONOTONIC) < due && !shared->over;)
            sched_yield();
        if (shared->queued - shared->taken > BACKLOG)
            while (shared->queued != shared->taken && !shared->over)
                sched_yield();
        uint64_t now = nanoseconds(CLOCK_MONOTONIC);
        due = now > due + 100 * period ? now : due;
        const int signal = signals[round % (queue ? 6 : 4)];
        /* Counted before it can have been taken; the queue may be full. */
        shared->queued += signal >= SIGRTMIN;
        bool sent =
            queue ? sigqueue(receiver, signal, (union sigval){.sival_int = 1}) == 0 : kill(receiver, signal) == 0;
        shared->signals += sent;
        shared->queued -= signal >= SIGRTMIN && !sent;
    }
}

static pid_t helper(void)
{
    pid_t child = fork();
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

int main(int argc, char **argv)
{
    (void)argc;
    long seconds = number(argv, "seconds", 3);
    bool queue = strcmp(option(argv, "how", "kill"), "queue") == 0;
    legal = number(argv, "legal", 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    for (int i = 0; i < RECEIVERS; i++) {
        struct timeval limit = {.tv_sec = i / 2 ? 60 : 0};
        tcp_pair(sockets[i], NULL);
        must(setsockopt(sockets[i][0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    }
    handle(SIGUSR1, on_signal, 0);
    handle(SIGTERM, on_signal, 0);
    handle(SIGUSR2, on_signal, SA_RESTART);
    handle(SIGRTMIN, on_signal, 0);
    handle(SIGRTMIN + 1, on_signal, SA_RESTART);

    pthread_t threads[RECEIVERS];
    for (long i = 0; i < RECEIVERS; i++)
        must(pthread_create(&threads[i], NULL, receive, (void *)(intptr_t)i) == 0, "pthread_create");
    /* What is sent to the process goes to its first thread where that does not block it. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pid_t receiver = getpid(), transmitter = helper();
    if (transmitter == 0) {
        transmit(seconds * 1000);
        _exit(0);
    }
    for (int i = 0; i < RECEIVERS; i++)
        close(sockets[i][1]);
    pid_t signaller = helper();
    if (signaller == 0) {
        send_signals(receiver, queue);
        _exit(0);
    }

    for (long i = 0; i < seconds; i += 5) { /* the harness takes who is silent for a minute for dead */
        nanosleep(&(struct timespec){.tv_sec = seconds - i < 5 ? seconds - i : 5}, NULL);
        say("alive", i);
    }
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += JOIN_S;
    for (int i = 0; i < RECEIVERS; i++) {
        if (pthread_clockjoin_np(threads[i], NULL, CLOCK_MONOTONIC, &limit) != 0) {
            dprintf(STDERR_FILENO, "victim: receiver %d hangs\n", i);
            _exit(72);
        }
    }
    must(waitpid(transmitter, NULL, 0) == transmitter && waitpid(signaller, NULL, 0) == signaller, "wait");
    unsigned long long expected = 0;
    for (int i = 0; i < RECEIVERS; i++)
        expected += shared->transmitted[i];
    say("expected", (long long)expected);
    say("bytes", (long long)bytes);
    say("wrong", (long long)wrong);
    say("eintr", (long long)eintr);
    say("illegal", (long long)illegal);
    say("failed", (long long)failed);
    say("sent", (long long)shared->signals);
    say("handled", (long long)handled);
    return 0;
}
