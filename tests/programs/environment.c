/* A program that does something to its environment, and goes on: a receive that a timer interrupts until its byte
 * comes, five in a child of fork, ten of its own. way=cleared      clearenv, and no environ at all way=overwritten
 * where it lies there is a title way=rewritten    settings of the library are others     way=null         a child
 * becomes a program without any
 */
#include "ticks.h"

#include <sys/wait.h>

static int fds[2];
static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == 3)
        must(write(fds[1], "x", 1) == 1, "write");
    errno = error;
}

static void wait_for_child(pid_t child)
{
    int status;
    must(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
}

static void spoil(const char *way, char **argv)
{
    if (strcmp(way, "cleared") == 0) {
        clearenv();
        environ = NULL;
    } else if (strcmp(way, "overwritten") == 0) {
        for (char **entry = environ; *entry != NULL; entry++)
            memset(*entry, 'x', strlen(*entry));
    } else if (strcmp(way, "rewritten") == 0) {
        setenv("RECVSHIM_TRACE", "/nowhere/at/all", 1);
        setenv("RECVSHIM_EINTR", "never", 1);
        setenv("RECVSHIM_CALLS", "readv", 1);
        setenv("RECVSHIM_TRACING", "off", 1);
    } else {
        char *again[] = {argv[0], (char[]){"second-life"}, NULL};
        pid_t child = fork();
        if (child == 0) {
            execve("/proc/self/exe", again, NULL);
            _exit(70);
        }
        wait_for_child(child);
    }
}

int main(int argc, char **argv)
{
    char byte;
    pair(SOCK_STREAM, fds);
    if (argc > 1 && strcmp(argv[1], "second-life") == 0)
        return exchange(fds, 2) != 2 || environ[0] != NULL;
    spoil(option(argv, "way", "cleared"), argv);
    handle(SIGALRM, on_tick, 0);
    begin_ticks(10000);
    say("interrupted", recv(fds[0], &byte, 1, 0));
    end_ticks();
    pid_t child = fork();
    if (child == 0) {
        int own[2]; /* as a tick may have brought more than one byte */
        pair(SOCK_STREAM, own);
        _exit(exchange(own, 5) != 5);
    }
    wait_for_child(child);
    say("child", child);
    say("own", exchange(fds, 10));
    return 0;
}
