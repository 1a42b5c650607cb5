/* A transfer over TCP (megabytes=N) to a receiver that gets ten thousand signals a second, without SA_RESTART. */
#include "settled.h"

#include <sys/prctl.h>
#include <sys/wait.h>

enum { TICKS_MET = 16 };

static struct progress *progress; /* of the receiver: its handler's calls */

static void on_tick(int signal)
{
    (void)signal;
    progress->handled++;
}

/* The stream: 64-bit words, each counting on, so that a byte lost, doubled or moved shows. */
static void transmit(int fd, uint64_t words, int receiver)
{
    static uint64_t block[8192];
    for (uint64_t word = 0; word < words;) {
        for (size_t i = 0; i < sizeof block / sizeof block[0]; i++)
            block[i] = word++;
        for (size_t sent = 0; sent < sizeof block;) {
            ssize_t part = send(fd, (char *)block + sent, sizeof block - sent, 0);
            must(part > 0, "send");
            sent += (size_t)part;
        }
        /* A receiver that never has to wait would never be interrupted: now and then it waits until some ticks have. */
        if (word % (8 << 17) == 0) {
            AWAIT(is_blocked(receiver), "the receive");
            const long handled = progress->handled;
            AWAIT(progress->handled - handled >= TICKS_MET, "ticks");
        }
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2];
    setpgid(0, 0); /* AWAIT ends the group */
    progress = shared_progress();
    tcp_pair(fds, NULL);
    uint64_t words = (uint64_t)number(argv, "megabytes", 64) << 17;
    pid_t receiver = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        transmit(fds[1], words, open_syscall_file(receiver));
        _exit(0);
    }
    close(fds[1]);

    handle(SIGALRM, on_tick, 0);
    tick(100);
    static unsigned char buffer[65536];
    uint64_t bytes = 0, wrong = 0, interrupted = 0;
    for (;;) {
        ssize_t part = recv(fds[0], buffer, sizeof buffer, 0);
        if (part == 0)
            break;
        if (part < 0) {
            must(errno == EINTR, "recv");
            interrupted++;
            continue;
        }
        for (ssize_t i = 0; i < part; i++, bytes++)
            wrong += buffer[i] != (unsigned char)(bytes / 8 >> 8 * (bytes % 8));
    }
    tick(0);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    say("expected", (long long)(words * 8));
    say("bytes", (long long)bytes);
    say("wrong", (long long)wrong);
    say("interrupted", (long long)interrupted);
    say("signals", progress->handled);
    return 0;
}
