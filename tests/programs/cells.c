/* One blocked receive after another, each interrupted in its own way, and each given its byte once the interruption is
 * over: nothing here waits for a time. Arguments:
 *   socket=tcp|udp|stream|dgram|seqpacket
 *   cells=15r-k,10-tc,...   a receive each: the signal's number; r where its handler has SA_RESTART; t where the socket
 *                           has SO_RCVTIMEO, of a minute; and how the signal comes: k kill, c a kick of the thread by
 *                           tgkill, i kill after siginterrupt(signal, 1), s SIGSTOP and SIGCONT in place of the signal
 *   bystanders=1            three more signals have handlers, and never come: SIGUSR2; SIGWINCH with SA_RESTART; SIGIO,
 *                           which is blocked
 *   stopped-first=1         a cell with t and a signal is stopped and continued once before the signal comes
 * For each cell, counted from 0: result_N, errno_N, handled_N. The child receives, its parent signals. */
#include "settled.h"

#include <sys/prctl.h>
#include <sys/wait.h>

struct cell {
    int signal;
    bool restart, timeout;
    char delivery;
};

static struct progress *progress;
static const char *cell_now = "none yet";

static void on_signal(int signal)
{
    (void)signal;
    progress->handled++;
}

/* The next cell of the list, which is moved on; false at its end. */
static bool next_cell(const char **list, struct cell *cell)
{
    if (**list == '\0')
        return false;
    char *end;
    cell_now = *list;
    cell->signal = (int)strtol(*list, &end, 10);
    cell->restart = end[0] == 'r';
    cell->timeout = end[1] == 't';
    cell->delivery = end[2];
    *list = end + 3 + (end[3] == ',');
    return true;
}

static void open_pair(const char *kind, int fds[2])
{
    if (strcmp(kind, "tcp") == 0) {
        tcp_pair(fds, NULL);
    } else if (strcmp(kind, "udp") == 0) {
        struct sockaddr_storage address;
        socklen_t length;
        fds[0] = bound(AF_INET, SOCK_DGRAM, &address, &length);
        fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
        must(connect(fds[1], (struct sockaddr *)&address, length) == 0, "connect");
    } else {
        pair(strcmp(kind, "stream") == 0 ? SOCK_STREAM : strcmp(kind, "dgram") == 0 ? SOCK_DGRAM : SOCK_SEQPACKET, fds);
    }
}

/* ---- the child ---- */

static void install(const struct cell *cell)
{
    if (cell->delivery == 's')
        return;
    if (cell->delivery == 'i' && !cell->restart) {
        must(siginterrupt(cell->signal, 1) == 0 && signal(cell->signal, on_signal) != SIG_ERR, "signal");
        return;
    }
    handle(cell->signal, on_signal, cell->restart ? SA_RESTART : 0);
    if (cell->delivery == 'i')
        must(siginterrupt(cell->signal, 1) == 0, "siginterrupt");
}

static void uninstall(const struct cell *cell)
{
    if (cell->delivery == 'i')
        must(siginterrupt(cell->signal, 0) == 0, "siginterrupt");
    if (cell->delivery != 's')
        handle(cell->signal, SIG_DFL, 0);
}

static void say_of(const char *key, long cell, long long value)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%ld", key, cell);
    say(name, value);
}

static void receive_cells(int fd, const char *list, int go)
{
    struct cell cell;
    bool timed = false;
    for (long i = 0; next_cell(&list, &cell); i++) {
        if (cell.timeout != timed) {
            struct timeval limit = {.tv_sec = cell.timeout ? 60 : 0};
            must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
            timed = cell.timeout;
        }
        install(&cell);
        long handled = progress->handled;
        progress->begun = i + 1;
        char byte;
        errno = 0;
        ssize_t result = recv(fd, &byte, 1, 0);
        int error = errno;
        progress->returned = i + 1;
        uninstall(&cell);
        must(read(go, &byte, 1) == 1, "go");
        if (result < 0)
            must(read(fd, &byte, 1) == 1, "the byte that came later");
        say_of("result", i, result);
        say_of("errno", i, error);
        say_of("handled", i, progress->handled - handled);
    }
}

/* ---- its parent ---- */

static void deliver(const struct cell *cell, pid_t child)
{
    long handled = progress->handled;
    int status;
    switch (cell->delivery) {
    case 's':
        must(kill(child, SIGSTOP) == 0, "SIGSTOP");
        must(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status), "stop");
        must(kill(child, SIGCONT) == 0, "SIGCONT");
        return;
    case 'c':
        must(syscall(SYS_tgkill, child, child, cell->signal) == 0, "tgkill");
        break;
    default:
        must(kill(child, cell->signal) == 0, "kill");
    }
    AWAIT(progress->handled != handled, cell_now);
}

static void signal_cells(int peer, const char *list, int go, pid_t child, bool stopped_first)
{
    const struct cell stop = {.delivery = 's'};
    int file = open_syscall_file(child);
    struct cell cell;
    for (long i = 1; next_cell(&list, &cell); i++) {
        AWAIT(progress->begun == i && is_blocked(file), cell_now);
        if (stopped_first && cell.timeout && cell.delivery != 's') {
            deliver(&stop, child);
            AWAIT(is_blocked(file), cell_now);
        }
        deliver(&cell, child);
        AWAIT(progress->returned == i || is_blocked(file), cell_now);
        must(send(peer, "x", 1, 0) == 1, "send");
        AWAIT(progress->returned == i, cell_now);
        must(write(go, "x", 1) == 1, "go");
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    int fds[2], go[2], status;
    const char *list = option(argv, "cells", "");
    setpgid(0, 0);
    progress = shared_progress();
    must(pipe(go) == 0, "pipe");
    open_pair(option(argv, "socket", "stream"), fds);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (number(argv, "bystanders", 0) != 0) {
            sigset_t io;
            sigemptyset(&io);
            sigaddset(&io, SIGIO);
            sigprocmask(SIG_BLOCK, &io, NULL);
            handle(SIGIO, on_signal, 0);
            handle(SIGUSR2, on_signal, 0);
            handle(SIGWINCH, on_signal, SA_RESTART);
        }
        receive_cells(fds[0], list, go[0]);
        _exit(0);
    }
    signal_cells(fds[1], list, go[1], child, number(argv, "stopped-first", 0) != 0);
    must(waitpid(child, &status, 0) == child, "wait");
    say("child", WEXITSTATUS(status));
    return 0;
}
