/* A receive under SO_RCVTIMEO (timeout=MS, 0 for none) and a ticking SIGALRM (tick=US), and what another thread does
 * meanwhile, from the second tick on:
 *   way=taken     sends a byte and takes it away again, fifty times: the receive is woken for nothing
 *   way=changed   sets SO_RCVTIMEO, to=MS; and, with send-after=N, sends a byte N ticks later. Says whether that was
 *                 `in_time`: the receive, interrupted once more, slept again before the first time-out was over
 *   way=expiry    nothing: times=N receives, one after another
 *   way=urgent    sends 4 bytes, an urgent one and 4 more, to a receive of 12 with MSG_WAITALL; inline=1 with
 *                 SO_OOBINLINE; apart=1 the urgent one when the first 4 have been received. tick=0: at once
 *   way=gathered  is another process: to a receive of 8 with MSG_WAITALL it sends SIGUSR1, whose handler has
 *                 SA_RESTART, 3 bytes, SIGTERM, whose handler has not, and, where that did not end it, 5 bytes;
 *                 remove=1 takes SO_RCVTIMEO away and sends SIGUSR1 in place of SIGTERM; from=1 asks for the address
 *   way=stopped   is another process: it stops this one, for=MS; `in_time` is, before the time-out was over */
#include "ticks.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static volatile sig_atomic_t ticks;
static int fds[2];
static long timeout, taken, new_timeout, send_after;
static bool apart, removes, asks_address;

/* Of both processes, where there are two. */
static struct {
    volatile uint64_t begun; /* before it sleeps for the first time */
    atomic_bool received, late;
} * receive;

/* Told as soon as it is known that the receive goes on. */
static void note_time(void)
{
    receive->late = nanoseconds(CLOCK_MONOTONIC) - receive->begun >= (uint64_t)timeout * 1000000;
}

static void on_tick(int signal)
{
    (void)signal;
    ticks++;
}

static void set_timeout(long milliseconds)
{
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    must(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
}

/* At the latest when there is nothing left to be interrupted. */
static void await_tick(int number)
{
    while (ticks < number && !receive->received)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* The receiver runs only when this thread sleeps (see below): both halves of a round come before it looks. Where that
 * is permitted, nobody else runs between them either. */
static void *take(void *unused)
{
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    await_tick(2);
    for (int i = 0; i < 50; i++) {
        char byte;
        must(write(fds[1], "x", 1) == 1, "write");
        taken += recv(fds[0], &byte, 1, MSG_DONTWAIT) == 1;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return unused;
}

static void *change(void *unused)
{
    await_tick(2);
    set_timeout(new_timeout);
    await_tick(ticks + 2); /* the second comes once it sleeps after the first */
    if (timeout != 0)
        note_time();
    if (send_after != 0) {
        await_tick(ticks + (int)send_after);
        must(write(fds[1], "x", 1) == 1, "write");
    }
    return unused;
}

static void *send_urgent(void *unused)
{
    await_tick(ticks == -1 ? -1 : 2);
    must(send(fds[1], "abcd", 4, 0) == 4, "send");
    for (int waiting = apart; waiting != 0;) /* under way, or not yet taken */
        must(ioctl(fds[1], TIOCOUTQ, &waiting) == 0 && (waiting != 0 || ioctl(fds[0], FIONREAD, &waiting) == 0),
             "FIONREAD");
    must(send(fds[1], "U", 1, MSG_OOB) == 1 && send(fds[1], "efgh", 4, 0) == 4, "send");
    return unused;
}

static void stop_receiver(pid_t receiver, long milliseconds)
{
    int file = open_syscall_file(receiver);
    AWAIT(is_blocked(file) || receive->received, "the receive");
    kill(receiver, SIGSTOP);
    note_time();
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
    kill(receiver, SIGCONT);
}

static struct progress *progress;

static void on_progress(int signal)
{
    (void)signal;
    progress->handled++;
}

static void signal_gathering(pid_t receiver)
{
    int file = open_syscall_file(receiver), waiting = 3;
    AWAIT(is_blocked(file), "the receive");
    kill(receiver, SIGUSR1);
    AWAIT(progress->handled == 1, "the handler");
    AWAIT(progress->returned != 0 || is_blocked(file), "the retry");
    must(write(fds[1], "abc", 3) == 3, "write");
    if (progress->returned == 0)
        AWAIT(ioctl(fds[0], FIONREAD, &waiting) == 0 && waiting == 0 && is_blocked(file), "the first bytes");
    if (removes && progress->returned == 0)
        set_timeout(0);
    kill(receiver, removes ? SIGUSR1 : SIGTERM);
    AWAIT(progress->handled == 2, "the handler");
    AWAIT(progress->returned != 0 || is_blocked(file), "the end of the interruption");
    if (progress->returned == 0)
        must(write(fds[1], "defgh", 5) == 5, "write");
}

static void receive_once(size_t length, int flags)
{
    char buffer[16];
    uint64_t begin = receive->begun = nanoseconds(CLOCK_MONOTONIC);
    errno = 0;
    struct sockaddr_storage address;
    socklen_t room = sizeof address;
    ssize_t result = asks_address ? recvfrom(fds[0], buffer, length, flags, (struct sockaddr *)&address, &room)
                                  : recv(fds[0], buffer, length, flags);
    int error = errno;
    say("address_length", room);
    say("elapsed_us", (long long)(nanoseconds(CLOCK_MONOTONIC) - begin) / 1000);
    say("result", result);
    say("errno", result < 0 ? error : 0);
    receive->received = true;
    if (progress != NULL)
        progress->returned++;
}

static void receive_often(long times, uint64_t timeout_us)
{
    long expired = 0, early = 0;
    for (long i = 0; i < times; i++) {
        char byte;
        uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
        expired += recv(fds[0], &byte, 1, 0) == -1 && errno == EAGAIN;
        early += nanoseconds(CLOCK_MONOTONIC) - begin < timeout_us * 1000;
    }
    say("expired", expired);
    say("early", early);
}

/* What was received up to the mark, and what comes after it. */
static void receive_urgent(bool in_line)
{
    char buffer[16];
    int one = in_line;
    must(setsockopt(fds[0], SOL_SOCKET, SO_OOBINLINE, &one, sizeof one) == 0, "SO_OOBINLINE");
    pthread_t thread = start_undisturbed(send_urgent, NULL);
    say("first", recv(fds[0], buffer, 12, MSG_WAITALL));
    say("at_mark", sockatmark(fds[0]));
    pthread_join(thread, NULL);
    end_ticks();
    set_timeout(0);
    ssize_t second = recv(fds[0], buffer, in_line ? 5 : 4, MSG_WAITALL);
    say("second", second);
    say("first_of_second", second > 0 ? buffer[0] : 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *way = option(argv, "way", "");
    bool urgent = strcmp(way, "urgent") == 0;
    setpgid(0, 0); /* AWAIT ends the group */
    receive = mmap(NULL, sizeof *receive, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(receive != MAP_FAILED, "mmap");
    timeout = number(argv, "timeout", 0);
    new_timeout = number(argv, "to", 0);
    send_after = number(argv, "send-after", 0);
    apart = number(argv, "apart", 0) != 0;
    removes = number(argv, "remove", 0) != 0;
    asks_address = number(argv, "from", 0) != 0;
    if (urgent)
        tcp_pair(fds, NULL);
    else
        pair(SOCK_STREAM, fds);
    if (timeout != 0)
        set_timeout(timeout);
    handle(SIGALRM, on_tick, 0);

    pthread_t thread;
    pid_t child = 0, receiver = getpid();
    bool has_thread = true;
    if (strcmp(way, "taken") == 0) {
        stay_on_this_cpu();
        thread = start_undisturbed(take, NULL);
        must(sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) == 0, "SCHED_IDLE");
    } else if (strcmp(way, "changed") == 0) {
        thread = start_undisturbed(change, NULL);
    } else {
        has_thread = false;
        if (strcmp(way, "gathered") == 0) {
            progress = shared_progress();
            handle(SIGUSR1, on_progress, SA_RESTART);
            handle(SIGTERM, on_progress, 0);
            if ((child = fork()) == 0) {
                signal_gathering(receiver);
                _exit(0);
            }
        }
        if (strcmp(way, "stopped") == 0 && (child = fork()) == 0) {
            stop_receiver(receiver, number(argv, "for", 0));
            _exit(0);
        }
    }

    long period = number(argv, "tick", 0);
    if (period == 0)
        ticks = -1;
    const bool by_timer = strcmp(way, "taken") == 0 || strcmp(way, "expiry") == 0;
    if (by_timer)
        tick(period);
    else
        begin_ticks(period);
    if (urgent)
        receive_urgent(number(argv, "inline", 0) != 0);
    else if (strcmp(way, "expiry") == 0)
        receive_often(number(argv, "times", 1), (uint64_t)timeout * 1000);
    else if (progress != NULL)
        receive_once(8, MSG_WAITALL);
    else
        receive_once(1, 0);
    receive->received = true;
    if (has_thread)
        pthread_join(thread, NULL);
    if (by_timer)
        tick(0);
    else if (!urgent)
        end_ticks();
    if (child > 0)
        waitpid(child, NULL, 0);
    say("ticks", ticks);
    say("taken", taken);
    say("in_time", !receive->late);
    return 0;
}
