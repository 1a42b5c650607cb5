/* One blocked receive under a ticking SIGALRM. Arguments:
 *   tick=MS       period of the signal, 0 for none          restart=1     the handler has SA_RESTART
 *   timeout=MS    SO_RCVTIMEO, 0 for none                    socket=pair|accepted|dup|inherited|shared
 *   send-at=N     from the Nth tick on, `bytes` ticks send a byte each   length=N      asked for
 *   waitall=1 peek=1 lowat=N   as they are named             no-address=1  recvfrom without one, its length nowhere
 *   timeout-at=N  SO_RCVTIMEO of half a second, set by the Nth tick's handler
 *   nonblock-at=N O_NONBLOCK, set by the Nth tick's handler
 *   restart-until=N  the handler has SA_RESTART until the Nth tick is to come
 *   peek-off=N    SO_PEEK_OFF                                met=1         the socket has received before
 *   no-poll=1     by RLIMIT_NOFILE, which poll(2) holds its count against
 * Says when the first two ticks came, counted from the receive's beginning; 0 for one that did not. */
#include "ticks.h"

#include <sys/resource.h>
#include <sys/wait.h>

static volatile sig_atomic_t ticks;
static volatile uint64_t tick_times[2];
static long send_at, bytes, timeout_at, nonblock_at, restart_until;
static int receiver, peer;

static void set_timeout(int fd, long milliseconds)
{
    struct timeval timeout = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    if (milliseconds != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0, "SO_RCVTIMEO");
}

/* Acts out of the handler: the data comes at a tick that is known, with no second process to wait for. */
static void on_tick(int signal)
{
    int error = errno;
    if (ticks < 2)
        tick_times[ticks] = nanoseconds(CLOCK_MONOTONIC);
    ticks++;
    if (send_at != 0 && ticks >= send_at && ticks < send_at + bytes)
        must(write(peer, "x", 1) == 1, "write");
    if (restart_until != 0 && ticks == restart_until - 1)
        handle(signal, on_tick, 0);
    if (timeout_at != 0 && ticks == timeout_at)
        set_timeout(receiver, 500);
    if (nonblock_at != 0 && ticks == nonblock_at)
        must(fcntl(receiver, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    errno = error;
}

/* The socket as `socket=` asks for it. The inherited one is received by this program's second life, as fd 3. */
static int open_socket(char **argv, long timeout)
{
    const char *kind = option(argv, "socket", "pair");
    int fds[2] = {3, 4};
    if (strcmp(kind, "accepted") == 0) {
        struct timeval of_listener = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
        tcp_pair(fds, &of_listener);
    } else if (getenv("SECOND_LIFE") == NULL) {
        pair(SOCK_STREAM, fds);
        int copy = fds[0];
        pid_t self = getpid();
        if (strcmp(kind, "dup") == 0)
            fds[0] = dup(copy);
        bool shared = strcmp(kind, "shared") == 0;
        if (!shared || fork() == 0) /* a socket of two processes, of which the other sets the time-out */
            set_timeout(copy, timeout);
        if (shared && getpid() != self)
            _exit(0);
        if (shared)
            must(wait(NULL) > 0, "wait");
        if (strcmp(kind, "inherited") == 0) {
            must(fds[0] == 3 && fds[1] == 4, "descriptors");
            setenv("SECOND_LIFE", "1", 1);
            execv("/proc/self/exe", argv);
            must(false, "execv");
        }
    }
    peer = fds[1];
    return fds[0];
}

int main(int argc, char **argv)
{
    (void)argc;
    int fd = receiver = open_socket(argv, number(argv, "timeout", 0));
    timeout_at = number(argv, "timeout-at", 0);
    nonblock_at = number(argv, "nonblock-at", 0);
    restart_until = number(argv, "restart-until", 0);
    send_at = number(argv, "send-at", 0);
    bytes = number(argv, "bytes", 1);
    int lowat = (int)number(argv, "lowat", 0);
    if (lowat != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat) == 0, "SO_RCVLOWAT");
    int peek_off = (int)number(argv, "peek-off", 0);
    if (peek_off != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &peek_off, sizeof peek_off) == 0, "SO_PEEK_OFF");
    int flags = number(argv, "waitall", 0) ? MSG_WAITALL : 0;
    flags |= number(argv, "peek", 0) ? MSG_PEEK : 0;
    for (long ready = number(argv, "ready", 0); ready > 0; ready--)
        must(write(peer, "y", 1) == 1, "write");

    char buffer[64];
    if (number(argv, "met", 0))
        must(write(peer, "z", 1) == 1 && recv(fd, buffer, 1, 0) == 1, "a receive before");

    handle(SIGALRM, on_tick, number(argv, "restart", 0) || restart_until != 0 ? SA_RESTART : 0);
    begin_ticks(number(argv, "tick", 0) * 1000);
    const struct rlimit none = {0, 0};
    if (number(argv, "no-poll", 0))
        must(setrlimit(RLIMIT_NOFILE, &none) == 0, "RLIMIT_NOFILE");
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC), cpu = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    errno = 0;
    size_t length = (size_t)number(argv, "length", 1);
    ssize_t result = number(argv, "no-address", 0) ? recvfrom(fd, buffer, length, flags, NULL, (socklen_t *)8)
                                                   : recv(fd, buffer, length, flags);
    int error = errno;
    uint64_t end = nanoseconds(CLOCK_MONOTONIC), cpu_end = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    end_ticks();
    say("elapsed_us", (long long)(end - begin) / 1000);
    say("cpu_us", (long long)(cpu_end - cpu) / 1000);
    say("result", result);
    say("errno", result < 0 ? error : 0);
    say("ticks", ticks);
    say("first_tick_us", tick_times[0] != 0 ? (long long)(tick_times[0] - begin) / 1000 : 0);
    say("second_tick_us", tick_times[1] != 0 ? (long long)(tick_times[1] - begin) / 1000 : 0);
    return 0;
}
