/* The program shuts its own end of a connection down (argument 1 says how), receives, and closes. */
#include "victim.h"

static int fds[2]; /* [0] is the program's */

static void begin(bool tcp)
{
    if (tcp)
        tcp_pair(fds, NULL);
    else
        pair(SOCK_STREAM, fds);
    say("fd", fds[0]);
    dprintf(STDOUT_FILENO, "seen");
}

static void leave(void)
{
    dprintf(STDOUT_FILENO, "\n");
    close(fds[0]);
}

static void shut(int how)
{
    must(shutdown(fds[0], how) == 0, "shutdown");
}

/* TCP goes on receiving: what comes later is read, and so is the real end. */
static void reading(void)
{
    begin(true);
    shut(SHUT_RD);
    see(fds[0], 16, 0);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    wait_for_bytes(fds[0], 3);
    see(fds[0], 16, 0);
    close(fds[1]);
    see(fds[0], 16, 0);
    leave();
}

static void both(void)
{
    begin(true);
    shut(SHUT_RDWR);
    see(fds[0], 16, 0);
    leave();
}

/* The peer hears that no more will come, and goes. */
static void writing(void)
{
    begin(true);
    shut(SHUT_WR);
    wait_for(fds[1], POLLRDHUP);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    close(fds[1]);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

/* The peer takes it badly. */
static void writing_then_reset(void)
{
    begin(true);
    shut(SHUT_WR);
    reset_at_close(fds[1]);
    close(fds[1]);
    wait_for(fds[0], POLLHUP);
    see(fds[0], 16, 0);
    leave();
}

/* The peer was first: what the program shuts down then changes nothing. */
static void writing_after_the_end(void)
{
    begin(true);
    close(fds[1]);
    see(fds[0], 16, 0);
    shut(SHUT_WR);
    leave();
}

/* Neither reads on: the program has shut down, and closes. */
static void writing_then_close(void)
{
    begin(true);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    see(fds[0], 16, 0);
    shut(SHUT_WR);
    leave();
}

static void unix_reading(void)
{
    begin(false);
    shut(SHUT_RD);
    see(fds[0], 16, 0);
    leave();
}

static void unix_both(void)
{
    begin(false);
    shut(SHUT_RDWR);
    see(fds[0], 16, 0);
    leave();
}

static void unix_writing(void)
{
    begin(false);
    shut(SHUT_WR);
    close(fds[1]);
    see(fds[0], 16, 0);
    leave();
}

/* Through another descriptor of the same socket. */
static void copy_reading(void)
{
    begin(true);
    int copy = dup(fds[0]);
    must(copy >= 0 && shutdown(copy, SHUT_RD) == 0, "shutdown");
    see(fds[0], 16, 0);
    close(copy);
    leave();
}

/* Another connection is put in its place, whose peer has gone. */
static void replaced(void)
{
    int others[2];
    begin(true);
    must(send(fds[1], "abc", 3, 0) == 3, "send");
    see(fds[0], 16, 0);
    tcp_pair(others, NULL);
    close(others[1]);
    wait_for(others[0], POLLRDHUP);
    must(dup2(others[0], fds[0]) == fds[0], "dup2");
    dprintf(STDOUT_FILENO, "\n");
}

static const struct way ways[] = {
    {"reading", reading},
    {"both", both},
    {"writing", writing},
    {"writing-then-reset", writing_then_reset},
    {"writing-after-the-end", writing_after_the_end},
    {"writing-then-close", writing_then_close},
    {"unix-reading", unix_reading},
    {"unix-both", unix_both},
    {"unix-writing", unix_writing},
    {"copy-reading", copy_reading},
    {"replaced", replaced},
};

int main(int argc, char **argv)
{
    (void)argc;
    stay_on_this_cpu();
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
