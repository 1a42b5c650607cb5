/* A program with live connections closes all descriptors, as daemons do (argument 1 says how), and gets new ones, with
 * the same numbers. Last, it only marks them (mark): all stay. */
#include "tagged.h"

#include <linux/close_range.h>

enum { CONNECTIONS = 6 };
static struct tagged connections[CONNECTIONS];
static bool unseen; /* the next ones are made by the kernel's call itself */

static struct tagged tagged_unseen(int type)
{
    int fds[2];
    must(syscall(SYS_socketpair, AF_UNIX, type, 0, fds) == 0, "socketpair");
    return (struct tagged){fds[0], fds[1], next_tag()};
}

static void open_some(void)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        int type = i == 1 ? SOCK_DGRAM : SOCK_STREAM;
        if (unseen)
            connections[i] = tagged_unseen(type);
        else
            connections[i] = i % 2 == 0 ? tagged_tcp() : tagged_unix(type);
    }
}

static void use_all(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        for (int n = 0; n < 2; n++)
            tagged_exchange(&connections[i]);
}

static void by_closefrom(void)
{
    closefrom(3);
}

static void by_close_range(void)
{
    must(close_range(3, ~0U, 0) == 0, "close_range");
}

/* In pieces: the first ends in the middle of what is open. */
static void by_close_ranges(void)
{
    unsigned middle = (unsigned)connections[CONNECTIONS / 2].fd;
    must(close_range(3, middle, CLOSE_RANGE_UNSHARE) == 0 && close_range(middle + 1, ~0U, 0) == 0, "close_range");
}

static void by_close(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

/* What comes then, no library sees: what was known of the numbers must be gone. */
static void by_close_for_unseen_ones(void)
{
    by_close();
    unseen = true;
}

/* By something that is no socket, and that is closed then. */
static void by_dup2(void)
{
    for (int fd = 3; fd < 64; fd++)
        must(dup2(STDIN_FILENO, fd) == fd, "dup2");
    closefrom(3);
}

static void mark(void)
{
    must(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0, "close_range");
    use_all();
    closefrom(3);
}

static const struct way ways[] = {
    {"closefrom", by_closefrom},
    {"close_range", by_close_range},
    {"close_ranges", by_close_ranges},
    {"close", by_close},
    {"dup2", by_dup2},
    {"mark", mark},
    {"unseen", by_close_for_unseen_ones},
};

int main(int argc, char **argv)
{
    (void)argc;
    open_some();
    use_all();
    int before = connections[0].fd;
    int status = show_way(ways, sizeof ways / sizeof ways[0], argv);
    open_some();
    must(unseen || connections[0].fd == before, "the same numbers");
    use_all();
    return status;
}
