#include "shell.h"

#include "fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

char directory[] = "/tmp/recvshim-unit-XXXXXX";
char path[64];
char said[1 << 14], printed[1 << 18];

void shell_begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    setenv("RECVSHIM_LIBRARY", PRELOAD_PATH, 1);
    unsetenv("LD_PRELOAD");
}

void shell_end(void)
{
    unlink(path);
    rmdir(directory);
}

void slurp(int fd, char *text, size_t size)
{
    ssize_t length = pread(fd, text, size - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    close(fd);
}

pid_t start(char *const argv[], int out, int err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    cr_assert_eq(posix_spawn(&pid, COMMAND_PATH, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

int wait_status(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int status_of(char *const argv[])
{
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    int status = wait_status(start(argv, out, err));
    slurp(out, printed, sizeof printed);
    slurp(err, said, sizeof said);
    return status;
}
void expect_said(const char *part)
{
    cr_assert_not_null(strstr(said, part), "%s", said);
    cr_assert_eq(strncmp(said, "recvshim", 8), 0, "%s", said);
    cr_assert_eq(strchr(said, '\n'), said + strlen(said) - 1, "%s", said);
}

void write_file(const void *bytes, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

void make_trace(void)
{
    struct recvshim_header header = fixture_header();
    int memory = fixture_file(&header, 0);
    struct trace trace;
    cr_assert_null(trace_map(dup(memory), TRACE_CONTROL, &trace).what);
    fixture_process(&trace, 42, 0, "curl");
    for (int64_t i = 0; i < 20; i++) {
        struct recvshim_record record = fixture_record((uint64_t)i + 1000000000, i);
        fixture_store(&trace, 0, &record);
    }
    void *bytes = malloc(trace.layout.size);
    memcpy(bytes, trace.base, trace.layout.size);
    write_file(bytes, trace.layout.size, 0600);
    free(bytes);
    trace_close(&trace);
    close(memory);
}

void check_with_promtool(void)
{
    if (system("command -v promtool >/dev/null") != 0) /* NOLINT: nothing of it comes from outside */
        return;
    char command[128], complaint[512] = "", exposition[80];
    snprintf(exposition, sizeof exposition, "%s/exposition", directory);
    int fd = open(exposition, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, printed, strlen(printed)), (ssize_t)strlen(printed));
    close(fd);
    snprintf(command, sizeof command, "promtool check metrics <%s 2>&1", exposition);
    FILE *check = popen(command, "r"); /* NOLINT */
    complaint[fread(complaint, 1, sizeof complaint - 1, check)] = '\0';
    unlink(exposition);
    cr_assert_eq(pclose(check), 0, "%s", complaint);
    cr_assert_str_eq(complaint, "");
}
