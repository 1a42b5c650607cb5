/* How long a program takes from its start to its end:
 *
 *      spawn_bench COUNT PROGRAM [NAME=VALUE...]
 *
 * runs PROGRAM COUNT times, with these variables added to the environment, and prints the nanoseconds of each run from
 * posix_spawn to waitpid, one a line. A program that makes a trace makes a new one each time: the file that
 * RECVSHIM_TRACE names is removed between two runs if it is given as -RECVSHIM_TRACE=..., with a dash. */
#include <err.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long run(char *program, char **environment)
{
    char *arguments[] = {program, NULL};
    pid_t child;
    int status;
    long long start = now();
    int error = posix_spawn(&child, program, NULL, NULL, arguments, environment);
    if (error != 0)
        errx(1, "cannot start %s: %s", program, strerror(error));
    if (waitpid(child, &status, 0) != child || status != 0)
        errx(1, "%s failed with status %d", program, status);
    return now() - start;
}

int main(int count, char **arguments)
{
    long runs = count < 3 ? 0 : strtol(arguments[1], NULL, 10);
    if (runs <= 0)
        errx(2, "usage: spawn_bench COUNT PROGRAM [[-]NAME=VALUE...]");

    size_t inherited = 0;
    while (environ[inherited] != NULL)
        inherited++;
    char **environment = calloc(inherited + (size_t)count, sizeof *environment);
    if (environment == NULL)
        err(1, "calloc");
    memcpy(environment, environ, inherited * sizeof *environment);

    const char *remove_after = NULL;
    for (int i = 3; i < count; i++) {
        char *variable = arguments[i];
        if (*variable == '-') {
            char *value = strchr(++variable, '=');
            if (value == NULL)
                errx(2, "%s has no value", variable);
            remove_after = value + 1;
        }
        environment[inherited++] = variable;
    }

    for (long i = 0; i < runs; i++) {
        printf("%lld\n", run(arguments[2], environment));
        if (remove_after != NULL && unlink(remove_after) != 0)
            err(1, "%s", remove_after);
    }
    return 0;
}
