/* `processes` short-lived processes, `at_once` of them at a time, each of which receives one byte and ends with a
 * status of its own. way=fork: children that go on in this program; way=spawn: programs of their own. Says how many
 * ended as they should, and the nanoseconds that all took. */
#include "victim.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { AT_ONCE_MAX = 64, STATUSES = 101 };

static struct {
    pid_t pid;
    int status;
} running[AT_ONCE_MAX];

static void receive_one(void)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    must(exchange(fds, 1) == 1, "recv");
}

static pid_t begin(char **argv, const char *way, int status)
{
    char text[32];
    pid_t pid;
    snprintf(text, sizeof text, "status=%d", status);
    if (strcmp(way, "spawn") == 0) {
        char *child[] = {argv[0], text, NULL};
        must(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, child, environ) == 0, "posix_spawn");
        return pid;
    }
    pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        receive_one();
        exit(status);
    }
    return pid;
}

/* Whether the one that ended was started here, and ended as it should. */
static bool end_one(void)
{
    int status;
    pid_t pid = wait(&status);
    must(pid > 0, "wait");
    for (int i = 0; i < AT_ONCE_MAX; i++) {
        if (running[i].pid != pid)
            continue;
        running[i].pid = 0;
        return WIFEXITED(status) && WEXITSTATUS(status) == running[i].status;
    }
    return false;
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *way = option(argv, "way", "fork");
    long processes = number(argv, "processes", 0), at_once = number(argv, "at_once", 4), ended = 0, right = 0;
    must(at_once >= 1 && at_once <= AT_ONCE_MAX, "at_once");
    if (processes == 0) {
        receive_one();
        return (int)number(argv, "status", 0);
    }
    uint64_t begun = nanoseconds(CLOCK_MONOTONIC);
    for (long started = 0; ended < processes;) {
        if (started == processes || started - ended == at_once) {
            right += end_one();
            ended++;
            continue;
        }
        int place = 0;
        while (running[place].pid != 0)
            place++;
        running[place].status = (int)(started % STATUSES);
        running[place].pid = begin(argv, way, running[place].status);
        started++;
    }
    say("right", right);
    say("nanoseconds", (long long)(nanoseconds(CLOCK_MONOTONIC) - begun));
    return 0;
}
