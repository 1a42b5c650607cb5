/* One way for a connection's other end to go (argument 1), seen by receives, and then the close of ours. */
#include "victim.h"

static int fds[2]; /* [0] is the one that is watched */

/* What follows on the line are receives. */
static void watch(void)
{
    say("fd", fds[0]);
    dprintf(STDOUT_FILENO, "seen");
}

static void leave(void)
{
    dprintf(STDOUT_FILENO, "\n");
    close(fds[0]);
}

static void tcp(void)
{
    tcp_pair(fds, NULL);
    watch();
}

static void unix_pair(int type)
{
    pair(type, fds);
    watch();
}

static void put(int fd, const char *text)
{
    size_t length = strlen(text);
    must(send(fd, text, length, 0) == (ssize_t)length, "send");
}

/* All that was sent has arrived, and the end. */
static void fin(void)
{
    tcp();
    put(fds[1], "abc");
    close(fds[1]);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

static void fin_by_shutdown(void)
{
    tcp();
    must(shutdown(fds[1], SHUT_WR) == 0, "shutdown");
    see(fds[0], 16, 0);
    leave();
}

/* SO_LINGER 0, with something on its way to us before: Linux keeps what has been queued, then tells. */
static void reset_after_data(void)
{
    tcp();
    put(fds[1], "abc");
    reset_at_close(fds[1]);
    close(fds[1]);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

/* The peer closes what it has not read. */
static void reset_unread(void)
{
    tcp();
    put(fds[0], "x");
    wait_for(fds[1], POLLIN);
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

static void reset_unread_after_data(void)
{
    tcp();
    put(fds[0], "x");
    put(fds[1], "abc");
    wait_for(fds[1], POLLIN);
    close(fds[1]);
    wait_for(fds[0], POLLIN);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

/* The end came before the reset, and the program read both. */
static void reset_after_fin(void)
{
    tcp();
    must(shutdown(fds[1], SHUT_WR) == 0, "shutdown");
    see(fds[0], 16, 0);
    reset_at_close(fds[1]);
    close(fds[1]);
    wait_for(fds[0], POLLHUP);
    see(fds[0], 16, 0);
    leave();
}

static void unix_close(void)
{
    unix_pair(SOCK_STREAM);
    put(fds[1], "abc");
    close(fds[1]);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

static void unix_unread(void)
{
    unix_pair(SOCK_STREAM);
    put(fds[0], "x");
    close(fds[1]);
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    leave();
}

static void unix_shutdown(void)
{
    unix_pair(SOCK_STREAM);
    must(shutdown(fds[1], SHUT_WR) == 0, "shutdown");
    see(fds[0], 16, 0);
    leave();
}

static void seqpacket_unread(void)
{
    unix_pair(SOCK_SEQPACKET);
    put(fds[0], "x");
    close(fds[1]);
    see(fds[0], 16, 0);
    leave();
}

static void seqpacket_empty(void)
{
    unix_pair(SOCK_SEQPACKET);
    must(send(fds[1], "", 0, 0) == 0, "send");
    see(fds[0], 16, 0);
    put(fds[1], "ab");
    see(fds[0], 16, 0);
    must(shutdown(fds[1], SHUT_WR) == 0, "shutdown");
    see(fds[0], 16, 0);
    leave();
}

/* The peer's end has come, and nobody looks. */
static void fin_unread(void)
{
    tcp();
    put(fds[1], "abc");
    see(fds[0], 16, 0);
    close(fds[1]);
    wait_for(fds[0], POLLRDHUP);
    leave();
}

static void reset_unseen(void)
{
    tcp();
    put(fds[1], "abc");
    see(fds[0], 16, 0);
    reset_at_close(fds[1]);
    close(fds[1]);
    wait_for(fds[0], POLLHUP);
    leave();
}

/* The program goes, and the peer is still there. */
static void program(void)
{
    tcp();
    put(fds[1], "abc");
    see(fds[0], 16, 0);
    leave();
}

static void program_unix(void)
{
    unix_pair(SOCK_STREAM);
    put(fds[1], "abc");
    see(fds[0], 16, 0);
    leave();
}

/* Accepted, and closed before anything came. */
static void program_without_data(void)
{
    tcp();
    leave();
}

static const struct way ways[] = {
    {"fin", fin},
    {"fin-by-shutdown", fin_by_shutdown},
    {"reset-after-data", reset_after_data},
    {"reset-unread", reset_unread},
    {"reset-unread-after-data", reset_unread_after_data},
    {"reset-after-fin", reset_after_fin},
    {"unix-close", unix_close},
    {"unix-unread", unix_unread},
    {"unix-shutdown", unix_shutdown},
    {"seqpacket-unread", seqpacket_unread},
    {"seqpacket-empty", seqpacket_empty},
    {"fin-unread", fin_unread},
    {"reset-unseen", reset_unseen},
    {"program", program},
    {"program-unix", program_unix},
    {"program-without-data", program_without_data},
};

int main(int argc, char **argv)
{
    (void)argc;
    stay_on_this_cpu();
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
