/* As many processes as argument 1 says, each of which makes one receive for every letter that comes on the FIFO named
 * by argument 2: `x` executes a receive, `X` ten of them. After each letter the results are told, one line: how many
 * returned data, and how many each failed. The first half are programs of their own, the others forked. */
#include "victim.h"

#include <sys/wait.h>

static void receive_on_command(int in, int out)
{
    int fds[2];
    char command, byte;
    pair(SOCK_STREAM, fds);
    while (read(in, &command, 1) == 1) {
        char result = '+';
        for (int i = command == 'X' ? 10 : 1; i > 0; i--) {
            must(send(fds[1], "y", 1, 0) == 1, "send");
            if (recv(fds[0], &byte, 1, 0) != 1)
                result = '-';
        }
        must(write(out, &result, 1) == 1, "write");
    }
    _exit(0);
}

static void start_child(char **argv, bool exec, int *in, int out)
{
    int pipe_fds[2];
    must(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe2");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        close(pipe_fds[1]);
        if (!exec)
            receive_on_command(pipe_fds[0], out);
        char numbers[2][16];
        fcntl(pipe_fds[0], F_SETFD, 0);
        fcntl(out, F_SETFD, 0);
        snprintf(numbers[0], sizeof numbers[0], "%d", pipe_fds[0]);
        snprintf(numbers[1], sizeof numbers[1], "%d", out);
        execl("/proc/self/exe", argv[0], "child", numbers[0], numbers[1], (char *)NULL);
        _exit(72);
    }
    close(pipe_fds[0]);
    *in = pipe_fds[1];
}

int main(int argc, char **argv)
{
    if (argc == 4)
        receive_on_command(atoi(argv[2]), atoi(argv[3]));
    int count = atoi(argv[1]), results[2], commands = open(argv[2], O_RDONLY | O_CLOEXEC);
    int *children = calloc((size_t)count, sizeof *children);
    must(commands >= 0 && children != NULL && pipe2(results, O_CLOEXEC) == 0, "start");
    for (int i = 0; i < count; i++)
        start_child(argv, i < count / 2, &children[i], results[1]);
    char command;
    while (read(commands, &command, 1) == 1) {
        int returned = 0, failed = 0;
        for (int i = 0; i < count; i++)
            must(write(children[i], &command, 1) == 1, "write");
        for (int i = 0; i < count; i++) {
            char result;
            must(read(results[0], &result, 1) == 1, "read");
            *(result == '+' ? &returned : &failed) += 1;
        }
        dprintf(STDOUT_FILENO, "%d %d\n", returned, failed);
    }
    for (int i = 0; i < count; i++)
        close(children[i]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
