/* The command as a user meets it: its exit statuses, and the one line it says when something is wrong. The library that
 * is preloaded here does nothing. */
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

static char directory[] = "/tmp/recvshim-unit-XXXXXX";
static char path[64];
static char said[1 << 14], printed[1 << 14]; /* on stderr, on stdout */

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    setenv("RECVSHIM_LIBRARY", PRELOAD_PATH, 1);
    unsetenv("LD_PRELOAD");
}

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}

TestSuite(commands, .init = make_directory, .fini = remove_directory, .timeout = 30);

static void slurp(int fd, char *text, size_t size)
{
    ssize_t length = pread(fd, text, size - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    close(fd);
}

static pid_t start(char *const argv[], int out, int err)
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

static int wait_status(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int status_of(char *const argv[])
{
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    int status = wait_status(start(argv, out, err));
    slurp(out, printed, sizeof printed);
    slurp(err, said, sizeof said);
    return status;
}
#define STATUS(...) status_of((char *[]){"recvshim", __VA_ARGS__, NULL})

/* One line, of ours, with that in it. */
static void expect_said(const char *part)
{
    cr_assert_not_null(strstr(said, part), "%s", said);
    cr_assert_eq(strncmp(said, "recvshim", 8), 0, "%s", said);
    cr_assert_eq(strchr(said, '\n'), said + strlen(said) - 1, "%s", said);
}

static void write_file(const void *bytes, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

Test(commands, help_and_usage)
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
    cr_assert_eq(STATUS("show"), 2);
    cr_assert_eq(STATUS("show", "--format", "xml", "t"), 2);
    cr_assert_eq(STATUS("show", "--peer", "nobody", "t"), 2);
    cr_assert_eq(STATUS("show", "-p", "x"), 2);
    cr_assert_eq(STATUS("show", "a", "b"), 2);
    cr_assert_eq(STATUS("run"), 125);
    cr_assert_eq(STATUS("run", "--format", "chrome", "true"), 125);
    cr_assert_eq(STATUS("run", "--eintr", "sometimes", "true"), 125);
    cr_assert_eq(STATUS("run", "--nonsense", "true"), 125);
}

Test(commands, run_ends_as_the_program_does)
{
    cr_assert_eq(STATUS("run", "-q", "true"), 0);
    cr_assert_str_eq(said, "");
    cr_assert_eq(STATUS("run", "-q", "sh", "-c", "echo out; echo err >&2; exit 7"), 7);
    cr_assert_str_eq(printed, "out\n");
    cr_assert_str_eq(said, "err\n");
    cr_assert_eq(STATUS("run", "-q", "sh", "-c", "kill -9 $$"), 128 + SIGKILL);
    cr_assert_eq(STATUS("run", "-q", "--", "sh", "-c", "kill -TERM $$"), 128 + SIGTERM);
    cr_assert_eq(STATUS("run", "true"), 0);
    expect_said("was not traced"); /* by this library, which does nothing */
}

Test(commands, run_tells_what_cannot_be_started)
{
    cr_assert_eq(STATUS("run", ""), 127);
    expect_said("''");
    cr_assert_eq(STATUS("run", "no-such-program-anywhere"), 127);
    expect_said("no-such-program-anywhere: cannot be run: No such file");
    cr_assert_eq(STATUS("run", directory), 126);
    expect_said("Permission denied");
    write_file("x", 1, 0600);
    cr_assert_eq(STATUS("run", path), 126);
    write_file("#!/nonexistent\n", 15, 0700);
    cr_assert_eq(STATUS("run", path), 127);
    expect_said(": cannot be run: its interpreter '/nonexistent' is not there");
    write_file("#!/bin/sh\r\n", 11, 0700);
    cr_assert_eq(STATUS("run", path), 127);
    expect_said("'/bin/sh?'"); /* the carriage return shows */
    write_file("exit 9\n", 7, 0700);
    cr_assert_eq(STATUS("run", "-q", path), 9, "a shell runs it");
}

Test(commands, run_validates_before_it_starts)
{
    cr_assert_eq(STATUS("run", "-o", "/nonexistent/file", "echo", "started"), 125);
    expect_said("/nonexistent/file");
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("run", "--trace", "/nonexistent/file", "echo", "started"), 125);
    expect_said("/nonexistent/file: cannot be made");
    cr_assert_str_eq(printed, "");
    write_file("precious", 8, 0600);
    cr_assert_eq(STATUS("run", "--trace", path, "echo", "started"), 125);
    expect_said("not a recvshim trace");
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("run", "--size", "16384G", "echo", "started"), 125);
    expect_said("needs more than half of this machine's memory");
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("run", "--eintr", "sometimes", "echo", "started"), 125);
    cr_assert_str_eq(said, "recvshim: --eintr=sometimes: must be always or never\n");
    setenv("RECVSHIM_EINTR", "sometimes", 1);
    cr_assert_eq(STATUS("run", "echo", "started"), 125);
    expect_said("RECVSHIM_EINTR=sometimes: must be always");
    cr_assert_eq(STATUS("run", "-q", "--eintr", "never", "true"), 0, "the option comes first");
    unsetenv("RECVSHIM_EINTR");
    setenv("RECVSHIM_LIBRARY", "/nonexistent.so", 1);
    cr_assert_eq(STATUS("run", "echo", "started"), 125);
    expect_said("/nonexistent.so: the library is not there");
}

Test(commands, run_sets_the_environment)
{
    setenv("LD_PRELOAD", "libc.so.6", 1);
    static const char show[] = "echo $LD_PRELOAD; echo $RECVSHIM_EINTR $RECVSHIM_SIZE; echo $RECVSHIM_TRACE";
    cr_assert_eq(STATUS("run", "-q", "--eintr=never", "--size", "64K", "--trace", path, "sh", "-c", (char *)show), 0);
    char expected[2 * PATH_MAX], full[PATH_MAX];
    cr_assert_not_null(realpath(path, full));
    snprintf(expected, sizeof expected, "%s:libc.so.6\nnever 64K\n%s\n", PRELOAD_PATH, full);
    cr_assert_str_eq(printed, expected);
    cr_assert_eq(STATUS("show", path), 0);
    cr_assert_str_eq(printed, "");
    cr_assert_str_eq(said, "");
}

Test(commands, run_takes_the_last_of_repeated_options)
{
    char *arguments[2 * 40 + 8] = {"recvshim", "run", "-q", "--seed=1"};
    size_t count = 4;
    for (size_t i = 0; i < 40; i++) {
        arguments[count++] = "--seed";
        arguments[count++] = "7";
    }
    arguments[count++] = "sh";
    arguments[count++] = "-c";
    arguments[count++] = "echo $RECVSHIM_SEED";
    cr_assert_eq(status_of(arguments), 0);
    cr_assert_str_eq(printed, "7\n");
}

Test(commands, run_leaves_signals_as_they_were)
{
    /* SIGINT is 2, SIGPIPE 13, SIGCHLD 17: SigIgn's bits 1, 12 and 16. */
    static const char show[] = "grep -E '^Sig(Ign|Blk)' /proc/self/status";
    char native[256];
    signal(SIGINT, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    FILE *pipe = popen(show, "r");
    native[fread(native, 1, sizeof native - 1, pipe)] = '\0';
    pclose(pipe);
    cr_assert_eq(STATUS("run", "-q", "sh", "-c", (char *)show), 0);
    cr_assert_str_eq(printed, native);
}

static void wait_for(int fd, const char *text)
{
    char found[1 << 12] = "";
    while (strstr(found, text) == NULL) {
        usleep(10000);
        found[pread(fd, found, sizeof found - 1, 0)] = '\0';
    }
}

static void expect_passed_on(int number, const char *trap)
{
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    char wait[128];
    snprintf(wait, sizeof wait, "trap 'echo told; exit 3' %s; echo ready; while :; do sleep 0.05; done", trap);
    pid_t pid = start((char *[]){"recvshim", "run", "-q", "bash", "-c", wait, NULL}, out, err);
    wait_for(out, "ready\n");
    kill(pid, number);
    cr_assert_eq(wait_status(pid), 3, "%s", trap);
    slurp(out, printed, sizeof printed);
    cr_assert_str_eq(printed, "ready\ntold\n");
    close(err);
}

Test(commands, run_passes_signals_on)
{
    expect_passed_on(SIGTERM, "TERM");
    expect_passed_on(SIGRTMIN + 1, "RTMIN+1");
    expect_passed_on(SIGVTALRM, "VTALRM");
}

/* Events enough to fill a pipe that nobody reads. */
Test(commands, run_passes_signals_on_while_its_output_waits)
{
    int ends[2], out = memfd_create("out", MFD_CLOEXEC);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    char filling[4096] = "";
    cr_assert_eq(write(ends[1], filling, sizeof filling), (ssize_t)sizeof filling);
    static const char wait[] = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    /* The header line of CSV is what has to wait. */
    char *arguments[] = {"recvshim", "run", "-q", "--format", "csv", "sh", "-c", (char *)wait, NULL};
    pid_t pid = start(arguments, out, ends[1]);
    wait_for(out, "ready\n");
    usleep(100000);
    kill(pid, SIGTERM);
    wait_for(out, "told\n");
    close(ends[0]);
    cr_assert_eq(wait_status(pid), 3);
    close(ends[1]);
    close(out);
}

/* The terminal tells the foreground group; a program that has left it would never hear of Ctrl-C. */
Test(commands, run_passes_signals_on_to_another_group)
{
    int terminal;
    static const char wait[] = "trap 'exit 3' INT; echo ready; while :; do sleep 0.05; done";
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid == 0)
        execl(COMMAND_PATH, "recvshim", "run", "-q", "setsid", "sh", "-c", wait, NULL);
    char text[64] = "";
    for (size_t length = 0; strstr(text, "ready") == NULL;) {
        ssize_t got = read(terminal, text + length, sizeof text - 1 - length);
        cr_assert_gt(got, 0);
        length += (size_t)got;
    }
    cr_assert_eq(write(terminal, "\003", 1), 1);
    cr_assert_eq(wait_status(pid), 3);
    close(terminal);
}

Test(commands, run_fails_itself_for_want_of_a_process)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) /* root has no such limit */
            _exit(125);
        setrlimit(RLIMIT_NPROC, &none);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* which takes a thread */
        execl(COMMAND_PATH, "recvshim", "run", "true", NULL);
        _exit(125); /* out of that user's reach */
    }
    cr_assert_eq(wait_status(pid), 125);
}

Test(commands, show_refuses_what_is_no_trace)
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

/* A trace in a file, with this many events lost of 20. */
static void make_trace(void)
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

Test(commands, show_prints_and_counts)
{
    make_trace();
    setenv("TZ", "UTC", 1);
    cr_assert_eq(STATUS("show", path), 0);
    expect_said(": 12 of 20 events lost: 12 overwritten, 0 dropped, 0 left unfinished");
    expect_said("complete since 2001-09-09 01:46:40.000000");
    cr_assert_not_null(strstr(printed, "2001-09-09 01:46:40.000000 curl[42] recv(5, 100) = 12\n"));
    cr_assert_eq(STATUS("show", "--follow", "--format", "json", path), 0, "nobody writes: it ends");
    cr_assert_eq(strncmp(printed, "{\"time\":\"2001-09-09T01:46:40.000000012Z\"", 40), 0);
    cr_assert_eq(STATUS("show", "--pid", "43", path), 0);
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("show", path, "-o", "/dev/full"), 1);
    expect_said("/dev/full: cannot be written: No space left");
    cr_assert_eq(truncate(path, 66000), 0);
    cr_assert_eq(STATUS("show", path), 1);
    expect_said("has been truncated");
}

/* Who finds the process table full is traced all the same. */
Test(commands, run_does_not_judge_by_a_full_table)
{
    make_trace();
    struct trace full;
    cr_assert_null(trace_open(path, TRACE_CONTROL, &full).what);
    atomic_store(&full.counters->processes, full.header.processes + 1U);
    trace_close(&full);
    cr_assert_eq(STATUS("run", "--trace", path, "true"), 0);
    expect_said("no recv or recvfrom was seen");
}

Test(commands, events_never_go_into_their_own_trace)
{
    make_trace();
    cr_assert_eq(STATUS("show", path, "-o", path), 1);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("run", "--trace", path, "-o", path, "true"), 125);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("show", path), 0, "the trace is whole");
}

/* Started with a descriptor closed, nothing that is said or printed may land in the trace. */
Test(commands, closed_descriptors_stay_closed)
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

Test(commands, show_ends_quietly_with_its_reader)
{
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    make_trace();
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    cr_assert_eq(wait_status(start((char *[]){"recvshim", "show", path, NULL}, ends[1], err)), 0);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

Test(commands, show_follows_no_longer_than_its_reader)
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
Test(commands, show_follows_without_progress)
{
    make_trace();
    struct trace recording;
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid == 0)
        execl(COMMAND_PATH, "recvshim", "show", "-f", path, "-o", "/dev/null", NULL);
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
}

Test(commands, show_survives_truncation_while_it_follows)
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
