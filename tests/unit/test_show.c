/* `recvshim show`, and the command as a whole, as a user meets them. */
#include "fixture.h"
#include "shell.h"
#include "tests/until.h"

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

TestSuite(show, .init = shell_begin, .fini = shell_end, .timeout = 300);

Test(show, help_and_usage)
{
    cr_assert_eq(STATUS("--version"), 0);
    cr_assert_eq(strncmp(printed, "recvshim ", 9), 0);
    cr_assert_eq(STATUS("help"), 0);
    cr_assert_not_null(strstr(printed, "show"));
    cr_assert_eq(STATUS("help", "show"), 0);
    cr_assert_not_null(strstr(printed, "--follow"));
    cr_assert_eq(STATUS("run", "--help"), 0);
    cr_assert_not_null(strstr(printed, "--eintr"));
    cr_assert_eq(STATUS("shew"), 2);
    expect_said("no such command");
    cr_assert_eq(STATUS(""), 2);
    expect_said("recvshim: '': no such command");
    cr_assert_eq(STATUS("show", ""), 1);
    expect_said("recvshim: '': cannot be opened");
    cr_assert_eq(STATUS("run", "--trace", "", "true"), 125);
    expect_said("recvshim: '': cannot be made");
    cr_assert_eq(STATUS("run"), 125);
    cr_assert_eq(STATUS("run", "--eintr", "sometimes", "true"), 125);
    cr_assert_eq(STATUS("run", "--nonsense", "true"), 125);
}

/* What subcommands have in common speaks of the one that was called. */
Test(show, shared_options)
{
    cr_assert_eq(STATUS("show"), 2);
    cr_assert_str_eq(said, "recvshim: show: give a TRACE, or -p PID; see recvshim show --help\n");
    cr_assert_eq(STATUS("show", "-p", "1", "t"), 2);
    expect_said("give a TRACE, or -p PID");
    cr_assert_eq(STATUS("show", "a", "b"), 2);
    cr_assert_str_eq(said, "recvshim: show: b: one trace at a time\n");
    cr_assert_eq(STATUS("show", "-p", "x"), 2);
    cr_assert_str_eq(said, "recvshim: -p x: must be the id of a process\n");
    cr_assert_eq(STATUS("show", "--format", "xml", "t"), 2);
    cr_assert_str_eq(said, "recvshim: --format=xml: must be text, json, csv, chrome or faults\n");
    cr_assert_eq(STATUS("run", "--format", "chrome", "true"), 125);
    cr_assert_str_eq(said, "recvshim: --format=chrome: must be text, json or csv\n");
    cr_assert_eq(STATUS("show", "--color", "maybe", "t"), 2);
    cr_assert_str_eq(said, "recvshim: --color=maybe: must be auto, always or never\n");
    cr_assert_eq(STATUS("run", "--color", "maybe", "true"), 125);
    cr_assert_eq(STATUS("show", "--peer", "nobody", "t"), 2);
    expect_said("recvshim: --peer=nobody: must be an IPv4 or IPv6 ADDRESS[/BITS], or");
    cr_assert_eq(STATUS("show", "--help"), 0);
    cr_assert_not_null(strstr(printed, "Write the events there instead of to stdout\n"));
    cr_assert_not_null(strstr(printed, "  text (the default), json, csv, chrome or faults\n"));
    cr_assert_eq(STATUS("run", "--help"), 0);
    cr_assert_not_null(strstr(printed, "Write the events there instead of to stderr\n"));
    cr_assert_not_null(strstr(printed, "  text (the default), json or csv\n"));
}

Test(show, refuses_what_is_no_trace)
{
    unsigned char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)(i * 7919 >> 3);
    cr_assert_eq(STATUS("show", path), 1);
    expect_said("cannot be opened: No such file");
    cr_assert_eq(STATUS("show", directory), 1);
    expect_said("is not a regular file");
    cr_assert_eq(STATUS("show", "/dev/zero"), 1);
    expect_said("is not a regular file");
    write_file("", 0, 0600);
    cr_assert_eq(STATUS("show", path), 1);
    expect_said("is not a recvshim trace");
    write_file(noise, sizeof noise, 0600);
    cr_assert_eq(STATUS("show", path), 1);
    expect_said("is not a recvshim trace");
    cr_assert_eq(STATUS("show", "-p", "4194305"), 1);
    expect_said("process 4194305: does not exist");
    char self[16];
    snprintf(self, sizeof self, "%d", (int)getpid());
    cr_assert_eq(STATUS("show", "-p", self), 1);
    expect_said("has no trace mapped");
}

Test(show, prints_and_counts)
{
    make_trace();
    setenv("TZ", "UTC", 1);
    cr_assert_eq(STATUS("show", path), 0);
    expect_said(": 12 of 20 events lost: 12 overwritten, 0 dropped, 0 left unfinished");
    expect_said("complete since 2001-09-09 01:46:40.000000");
    cr_assert_not_null(strstr(printed, "2001-09-09 01:46:40.000000 curl[42] recv(5, 100) = 12\n"));
    cr_assert_eq(STATUS("show", "--follow", "--format", "json", path), 0, "nobody writes: it ends");
    cr_assert_eq(strncmp(printed, "{\"time\":\"2001-09-09T01:46:40.000000012Z\"", 40), 0);
    cr_assert_eq(STATUS("show", "--color", "always", path), 0);
    cr_assert_not_null(strchr(printed, '\033'));
    cr_assert_eq(STATUS("show", "--color=always", "--color=never", path), 0);
    cr_assert_null(strchr(printed, '\033'));
    cr_assert_eq(STATUS("show", "--color=auto", path), 0, "this is no terminal");
    cr_assert_null(strchr(printed, '\033'));
    cr_assert_eq(STATUS("show", "--pid", "43", path), 0);
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("show", path, "-o", "/dev/full"), 1);
    expect_said("/dev/full: cannot be written: No space left");
    cr_assert_eq(truncate(path, 66000), 0);
    cr_assert_eq(STATUS("show", path), 1);
    expect_said("has been truncated");
}

/* As of `recvshim check PROGRAM | head -1': that is no failure, of any command. */
Test(show, a_reader_that_is_gone_has_seen_enough)
{
    make_trace();
    static const char *const words[] = {"show", "stats", "control", "check"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        int ends[2], err = memfd_create("err", MFD_CLOEXEC);
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        close(ends[0]);
        pid_t pid =
            start((char *[]){"recvshim", (char *)words[i], strcmp(words[i], "check") == 0 ? "/bin/sh" : path, NULL},
                  ends[1], err);
        cr_assert_eq(wait_status(pid), 0, "%s", words[i]);
        close(ends[1]);
        slurp(err, said, sizeof said);
        cr_assert_str_eq(said, "");
    }
}

/* Help is an output as any other. */
Test(show, help_that_cannot_be_written)
{
    static const char *const words[] = {"help", "--help", "--version"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
        cr_assert_geq(full, 0);
        cr_assert_eq(wait_status(start((char *[]){"recvshim", (char *)words[i], NULL}, full, err)), 1);
        close(full);
        slurp(err, said, sizeof said);
        expect_said("recvshim: stdout: cannot be written: No space left");
    }
}

Test(show, events_never_go_into_their_own_trace)
{
    make_trace();
    cr_assert_eq(STATUS("show", path, "-o", path), 1);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("run", "--trace", path, "-o", path, "true"), 125);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("show", path), 0, "the trace is whole");
}

/* Started with a descriptor closed, nothing that is said or printed may land in the trace. */
Test(show, closed_descriptors_stay_closed)
{
    static const char commands[] = COMMAND_PATH " run --trace $T true 2>&-; " COMMAND_PATH
                                                " show -f $T >&-; echo show $? >&2; " /* and 1 is free */
        COMMAND_PATH " run -q sh -c 'echo x >&2' 2>&- || echo closed >&2; ";
    make_trace();
    setenv("T", path, 1);
    struct trace recording; /* so that `show` follows, and opens the trace for writing */
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", commands, NULL);
    }
    wait_status(pid);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "recvshim: stdout: cannot be written: Bad file descriptor\nshow 1\nclosed\n");
    cr_assert_eq(STATUS("show", path), 0, "the trace is whole");
    close(out);
}

Test(show, ends_quietly_with_its_reader)
{
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    make_trace();
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    cr_assert_eq(wait_status(start((char *[]){"recvshim", "show", path, NULL}, ends[1], err)), 0);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

Test(show, follows_no_longer_than_its_reader)
{
    make_trace();
    struct trace recording; /* so that there is something to wait for */
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[16];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start((char *[]){"recvshim", "show", "-f", path, NULL}, ends[1], err);
    close(ends[1]);
    cr_assert_gt(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
    cr_assert_eq(wait_status(pid), 0, "no event came since");
    close(err);
}

/* Progress is for what has an end: on a terminal, with the events elsewhere. */
Test(show, follows_without_progress)
{
    make_trace();
    struct trace recording;
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    int terminal;
    char shown[80];
    struct stat status;
    snprintf(shown, sizeof shown, "%s/shown", directory);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid < 0)
        cr_skip_test("no terminal may be made here"); /* and -1 would be signalled as everybody */
    if (pid == 0)
        execl(COMMAND_PATH, "recvshim", "show", "-f", path, "-o", shown, NULL);
    while (stat(shown, &status) != 0 || status.st_size == 0) /* it hears signals by then */
        usleep(10000);
    for (int64_t i = 0; i < 15; i++) {
        struct recvshim_record record = fixture_record((uint64_t)i + 1000000100, i);
        fixture_store(&recording, 0, &record);
        usleep(100000);
    }
    kill(pid, SIGINT);
    cr_assert_eq(wait_status(pid), 0);
    char text[1 << 12] = "";
    for (ssize_t length = 0, got; (got = read(terminal, text + length, sizeof text - 1 - (size_t)length)) > 0;)
        length += got;
    cr_assert_null(strchr(text, '%'), "%s", text);
    close(terminal);
    unlink(shown);
}

/* What a command says of its progress on a terminal. */
static void read_progress(char *command, char *text, size_t size)
{
    int terminal, slave, out = memfd_create("out", MFD_CLOEXEC);
    memset(text, 0, size);
    cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, NULL), 0);
    cr_assert_eq(wait_status(start((char *[]){"recvshim", command, path, NULL}, out, slave)), 0);
    cr_assert_gt(lseek(out, 0, SEEK_END), 0);
    close(slave);
    for (ssize_t length = 0, got; (got = read(terminal, text + length, size - 1 - (size_t)length)) > 0;)
        length += got;
    close(terminal);
    close(out);
}

/* What is soon done has none, on a terminal either. */
Test(show, has_no_progress_at_once)
{
    make_trace();
    char *const commands[] = {"show", "stats"};
    for (size_t i = 0; i < 2; i++) {
        char text[1 << 12] = "";
        UNTIL (strchr(text, '%') == NULL)
            read_progress(commands[i], text, sizeof text);
        cr_assert_null(strchr(text, '%'), "%s", text);
    }
}

Test(show, survives_truncation_while_it_follows)
{
    make_trace();
    /* Mapped for recording, so that `show` has something to wait for. */
    struct trace recording;
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = start((char *[]){"recvshim", "show", "-f", path, NULL}, out, err);
    char text[64] = "";
    while (text[0] == '\0') {
        usleep(10000);
        text[pread(out, text, sizeof text - 1, 0)] = '\0';
    }
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(wait_status(pid), 1);
    slurp(err, said, sizeof said);
    expect_said("was truncated while it was read");
    close(out);
}
