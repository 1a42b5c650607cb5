/* Receives `before` times, leaves something behind (argument 1), and goes on `after` times. */
#include "victim.h"

#include <fcntl.h>

static void close_all(void)
{
    closefrom(3);
}

/* As daemons do it: every number there could be, and most fail. */
static void close_each(void)
{
    for (int fd = 3; fd < 4096; fd++)
        close(fd);
}

/* The other way to lose a tool's descriptor: it is overwritten. */
static void overwrite_each(void)
{
    for (int fd = 3; fd < 200; fd++)
        must(dup2(STDIN_FILENO, fd) == fd, "dup2");
    closefrom(3);
}

static void change_root(void)
{
    must(chroot("/proc/self/fdinfo") == 0 && chdir("/") == 0, "chroot");
}

static void change_user(void)
{
    must(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
}

static void go_to_background(void)
{
    must(daemon(1, 1) == 0, "daemon");
}

static const struct {
    const char *name;
    void (*leave)(void);
} ways[] = {
    {"closefrom", close_all}, {"close", close_each},   {"dup2", overwrite_each},
    {"chroot", change_root},  {"setuid", change_user}, {"daemon", go_to_background},
};

static long receive_some(long times)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    return exchange(fds, times);
}

int main(int argc, char **argv)
{
    say("before", receive_some(10));
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(argv[1], ways[i].name) == 0)
            ways[i].leave();
    say("pid", getpid());
    say("after", receive_some(15));
    return 0;
}
