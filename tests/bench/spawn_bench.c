/* How long a program takes from its start to its end:
 *
 *      spawn_bench PROGRAM [[-]NAME=VALUE...]
 *
 * runs PROGRAM once for each line on stdin, with these variables added to the environment, and answers with the
 * nanoseconds from posix_spawn to waitpid. The file that a variable with a dash names is removed after each run, so
 * that the next one makes it anew. */
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
    if (count < 2)
        errx(2, "usage: spawn_bench PROGRAM [[-]NAME=VALUE...]");

    size_t inherited = 0;
    while (environ[inherited] != NULL)
        inherited++;
    char **environment = calloc(inherited + (size_t)count, sizeof *environment);
    if (environment == NULL)
        err(1, "calloc");
    memcpy(environment, environ, inherited * sizeof *environment);

    const char *remove_after = NULL;
    for (int i = 2; i < count; i++) {
        char *variable = arguments[i];
        if (*variable == '-') {
            char *value = strchr(++variable, '=');
            if (value == NULL)
                errx(2, "%s has no value", variable);
            remove_after = value + 1;
        }
        environment[inherited++] = variable;
    }

    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("%lld\n", run(arguments[1], environment));
        fflush(stdout);
        if (remove_after != NULL && unlink(remove_after) != 0)
            err(1, "%s", remove_after);
    }
    return 0;
}
