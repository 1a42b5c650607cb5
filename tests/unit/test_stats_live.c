/* `recvshim stats --interval', on a trace that is being written. */
#include "sample.h"
#include "shell.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void begin(void)
{
    shell_begin();
    setenv("TZ", "UTC", 1);
}

TestSuite(stats_live, .init = begin, .fini = shell_end, .timeout = 300);

/* Read until that comes, for as long as the test may take. A command that goes on meanwhile may have written more than
 * there is room for: the newest half is kept. */
static void read_until(int fd, char *text, size_t size, const char *part)
{
    size_t length = strlen(text);
    while (strstr(text, part) == NULL) {
        if (length > size - 1 - size / 4) {
            memmove(text, text + length - size / 2, size / 2 + 1);
            length = size / 2;
        }
        ssize_t got = read(fd, text + length, size - 1 - length);
        cr_assert_gt(got, 0, "%s", text);
        length += (size_t)got;
        text[length] = '\0';
    }
}

Test(stats_live, repeats_until_nobody_writes)
{
    struct trace trace = sample_trace();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid =
        start((char *[]){"recvshim", "stats", "--format=json", "--top=1", "--interval=0.01", path, NULL}, ends[1], err);
    close(ends[1]);
    read_until(ends[0], text, sizeof text, "\"bytes\":210,");
    sample_receive(&trace, 2, 40, 90);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "\"bytes\":300,");
    trace_close(&trace);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "\"written\":false,");
    cr_assert_eq(wait_status(pid), 0);
    close(ends[0]);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

Test(stats_live, divides_reports_for_prometheus)
{
    struct trace trace = sample_trace();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    static char text[1 << 16];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid =
        start((char *[]){"recvshim", "stats", "--format=prometheus", "--interval=0.01", path, NULL}, ends[1], err);
    close(ends[1]);
    read_until(ends[0], text, sizeof text, "\n\n# HELP");
    close(ends[0]);
    cr_assert_eq(wait_status(pid), 0);
    close(err);
    trace_close(&trace);
}

Test(stats_live, ends_with_a_signal_and_with_its_reader)
{
    struct trace trace = sample_trace();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    char *arguments[] = {"recvshim", "stats", "--interval=1000", path, NULL};
    pid_t pid = start(arguments, ends[1], err);
    read_until(ends[0], text, sizeof text, "losses: none");
    sample_receive(&trace, 2, 40, 90);
    kill(pid, SIGTERM);
    cr_assert_eq(wait_status(pid), 0);
    read_until(ends[0], text, sizeof text, "----\n");
    read_until(ends[0], text, sizeof text, "300 bytes");
    pid = start(arguments, ends[1], err);
    close(ends[1]);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "losses: none");
    close(ends[0]);
    cr_assert_eq(wait_status(pid), 0, "nobody reads any more");
    trace_close(&trace);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

/* Nobody writes to the trace any more, so the command ends; what it still draws is read, lest it wait for that. */
static void expect_end(struct trace *trace, int terminal, pid_t pid)
{
    char rest[256];
    trace_close(trace);
    while (read(terminal, rest, sizeof rest) > 0)
        ;
    cr_assert_eq(wait_status(pid), 0);
    close(terminal);
}

Test(stats_live, redraws_a_terminal_in_place)
{
    struct trace trace = sample_trace();
    int terminal, slave;
    struct winsize window = {.ws_row = 4, .ws_col = 100};
    char text[1 << 14] = "";
    cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, &window), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=0.01", path, NULL}, slave, slave);
    close(slave);
    read_until(terminal, text, sizeof text, "\033[H\033[J");
    read_until(terminal, text, sizeof text, "COMM");
    strcpy(text, "");
    read_until(terminal, text, sizeof text, "\033[H\033[J");
    cr_assert_null(strstr(text, "losses"), "no more than its three rows");
    expect_end(&trace, terminal, pid);
}

/* What sets a colour takes no room. */
Test(stats_live, draws_in_colour)
{
    struct trace trace = sample_trace();
    int terminal, slave;
    struct winsize window = {.ws_row = 50, .ws_col = 250};
    char text[1 << 14] = "";
    cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, &window), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=0.01", "--color=always", path, NULL}, slave, slave);
    close(slave);
    read_until(terminal, text, sizeof text, "\033[31m");
    expect_end(&trace, terminal, pid);
}

Test(stats_live, counts_the_rows_that_a_long_line_takes)
{
    struct trace trace = sample_trace();
    int terminal, slave;
    struct winsize window = {.ws_row = 6, .ws_col = 40};
    char text[1 << 14] = "";
    cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, &window), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=0.01", "--color=always", path, NULL}, slave, slave);
    close(slave);
    read_until(terminal, text, sizeof text, "\033[H\033[J");
    memmove(text, strstr(text, "\033[H"), strlen(strstr(text, "\033[H")) + 1);
    while (strstr(text + 1, "\033[H") == NULL) {
        ssize_t got = read(terminal, text + strlen(text), sizeof text - 1 - strlen(text));
        cr_assert_gt(got, 0);
        text[strlen(text) + (size_t)got] = '\0';
    }
    *strstr(text + 1, "\033[H") = '\0';
    size_t rows = 1, column = 0;
    for (const char *at = text + strlen("\033[H\033[J"); *at != '\0'; at++) {
        if (*at == '\033') {
            at += strcspn(at, "m");
        } else if (*at == '\n') {
            rows++;
            column = 0;
        } else if (*at != '\r' && column++ == 40) {
            rows++;
            column = 1;
        }
    }
    cr_assert_eq(rows, 6, "the first ones stay where they can be read: %s", text);
    expect_end(&trace, terminal, pid);
}

Test(stats_live, replaces_a_file_whole)
{
    struct trace trace = sample_trace();
    char file[96], text[1 << 14] = "", link[96];
    snprintf(file, sizeof file, "%s/x.prom", directory);
    snprintf(link, sizeof link, "%s/link", directory);
    int err = memfd_create("err", MFD_CLOEXEC);
    umask(022);
    pid_t pid = start((char *[]){"recvshim", "stats", "--format=prometheus", "--interval=0.01", "-o", file, path, NULL},
                      STDOUT_FILENO, err);
    ino_t first = 0;
    for (int replaced = 0; replaced < 3;) { /* as often as it takes */
        struct stat status;
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        fstat(fd, &status);
        if (status.st_ino != first)
            replaced++;
        first = status.st_ino;
        cr_assert_eq(status.st_mode & 0777, 0644, "%o", status.st_mode);
        slurp(fd, text, sizeof text);
        cr_assert_not_null(strstr(text, "reason=\"died\"} 0\n"), "never half of it");
    }
    trace_close(&trace);
    cr_assert_eq(wait_status(pid), 0);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");

    cr_assert_eq(symlink(file, link), 0);
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", link, path), 0);
    struct stat status;
    cr_assert(lstat(link, &status) == 0 && S_ISLNK(status.st_mode), "a link stays a link");
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", "/dev/full", path), 1);
    expect_said("No space left");
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", "/nowhere/x", path), 1);
    expect_said("/nowhere/x: cannot be replaced: No such file");
    unlink(link);
    unlink(file);
    cr_assert_eq(rmdir(directory), -1);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(directory), 0, "nothing is left behind");
    cr_assert_eq(mkdir(directory, 0700), 0);
}

Test(stats_live, survives_truncation_while_it_repeats)
{
    struct trace trace = sample_trace();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=1000", path, NULL}, ends[1], err);
    read_until(ends[0], text, sizeof text, "losses");
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(wait_status(pid), 1);
    slurp(err, said, sizeof said);
    expect_said("was truncated while it was read");
    close(ends[0]);
    close(ends[1]);
    (void)trace;
}
