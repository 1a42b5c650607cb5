/* `recvshim run` as a user meets it: its exit statuses, its signals, and the one line it says when something is wrong.
 */
#include "cli/chance.h"
#include "fixture.h"
#include "shell.h"
#include "trace/clock.h"
#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <errno.h>
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

TestSuite(run, .init = shell_begin, .fini = shell_end, .timeout = 300);

Test(run, ends_as_the_program_does)
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

Test(run, tells_what_cannot_be_started)
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

Test(run, validates_before_it_starts)
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
    cr_assert_str_eq(said, "recvshim: --eintr=sometimes: must be always, intent, restart or never\n");
    cr_assert_eq(STATUS("run", "--eintr-pass", "TERM,KILL", "echo", "started"), 125);
    expect_said("--eintr-pass=TERM,KILL: must be a list of signals such as TERM,INT,ALRM");
    setenv("RECVSHIM_EINTR", "sometimes", 1);
    cr_assert_eq(STATUS("run", "echo", "started"), 125);
    expect_said("RECVSHIM_EINTR=sometimes: must be always");
    cr_assert_eq(STATUS("run", "-q", "--eintr", "never", "true"), 0, "the option comes first");
    unsetenv("RECVSHIM_EINTR");
    setenv("RECVSHIM_LIBRARY", "/nonexistent.so", 1);
    cr_assert_eq(STATUS("run", "echo", "started"), 125);
    expect_said("/nonexistent.so: the library is not there");
}

Test(run, sets_the_environment)
{
    setenv("LD_PRELOAD", "libc.so.6", 1);
    static const char show[] =
        "echo $LD_PRELOAD; echo $RECVSHIM_EINTR $RECVSHIM_EINTR_PASS $RECVSHIM_SIZE; echo $RECVSHIM_TRACE";
    cr_assert_eq(STATUS("run", "-q", "--eintr=intent", "--eintr-pass=USR1", "--size", "64K", "--trace", path, "sh",
                        "-c", (char *)show),
                 0);
    char expected[2 * PATH_MAX], full[PATH_MAX];
    cr_assert_not_null(realpath(path, full));
    snprintf(expected, sizeof expected, "%s:libc.so.6\nintent USR1 64K\n%s\n", PRELOAD_PATH, full);
    cr_assert_str_eq(printed, expected);
    cr_assert_eq(STATUS("show", path), 0);
    cr_assert_str_eq(printed, "");
    cr_assert_str_eq(said, "");
}

Test(run, takes_the_last_of_repeated_options)
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

Test(run, leaves_signals_as_they_were)
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

Test(run, passes_signals_on)
{
    expect_passed_on(SIGTERM, "TERM");
    expect_passed_on(SIGRTMIN + 1, "RTMIN+1");
    expect_passed_on(SIGVTALRM, "VTALRM");
}

/* Events enough to fill a pipe that nobody reads. */
Test(run, passes_signals_on_while_its_output_waits)
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
Test(run, passes_signals_on_to_another_group)
{
    int terminal;
    static const char wait[] = "trap 'exit 3' INT; echo ready; while :; do sleep 0.05; done";
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid < 0)
        cr_skip_test("no terminal may be made here"); /* and -1 would be signalled as everybody */
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

Test(run, fails_itself_for_want_of_a_process)
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

/* As make_trace(), switched on: to record these events. Of its programs none says `exit'. */
#define RECORDED (RECVSHIM_EVENTS_DEFAULT & ~(1U << RECVSHIM_EVENT_EXIT))
static void make_recording(uint32_t events)
{
    struct trace trace;
    make_trace();
    cr_assert_null(trace_open(path, TRACE_CONTROL, &trace).what);
    atomic_store(&trace.control->tracing, 1);
    atomic_store(&trace.control->events, events);
    trace_close(&trace);
}

/* Who finds the process table full is traced all the same. */
Test(run, does_not_judge_by_a_full_table)
{
    make_recording(RECORDED);
    struct trace full;
    cr_assert_null(trace_open(path, TRACE_CONTROL, &full).what);
    atomic_store(&full.counters->processes, full.header.processes + 1U);
    trace_close(&full);
    cr_assert_eq(STATUS("run", "--trace", path, "true"), 0);
    cr_assert_not_null(strstr(said, "no recv or recvfrom was seen"), "%s", said);
    cr_assert_null(strstr(said, "was not traced"), "%s", said);
    cr_assert_not_null(strstr(said, "/file: 1 of 5 processes found no room in its table"), "%s", said);
}

/* The program has said which process it is: put that into the table, as the library does. */
static void register_program(const struct trace *trace, int out)
{
    char text[16] = "";
    for (; strchr(text, '\n') == NULL; usleep(10000))
        cr_assert_geq(pread(out, text, sizeof text - 1, 0), 0);
    fixture_process(trace, (uint32_t)strtoul(text, NULL, 10), clock_now(), "cat");
}

/* A program that says which process it is, and runs until let_end(): the words for `run`. */
#define RUNS_ON "sh", "-c", "echo $$; exec cat \"$0\"", (char *)fifo()

static const char *fifo(void)
{
    static char name[80];
    snprintf(name, sizeof name, "%s.fifo", path);
    cr_assert(mkfifo(name, 0600) == 0 || errno == EEXIST);
    return name;
}

static void let_end(void)
{
    int fd = open(fifo(), O_WRONLY | O_CLOEXEC); /* waits for it to be read */
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(fifo());
}

/* `recvshim run` of the trace at `path`, with a record that comes while it runs. */
static void attend_while(char *quiet, const struct recvshim_record *record)
{
    struct trace other;
    cr_assert_null(trace_open(path, TRACE_CONTROL, &other).what);
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid =
        start((char *[]){"recvshim", "run", "-o", "/dev/null", "--trace", path, quiet, RUNS_ON, NULL}, out, err);
    register_program(&other, out);
    fixture_store(&other, 0, record);
    trace_close(&other);
    let_end();
    cr_assert_eq(wait_status(pid), 0);
    slurp(err, said, sizeof said);
    close(out);
}

/* The same with a trace that was made for it. */
static void run_while(char *quiet, const struct recvshim_record *record)
{
    make_recording(RECORDED);
    attend_while(quiet, record);
}

/* A process that starts, connects and exits has received nothing. */
Test(run, says_that_nothing_was_received_among_other_events)
{
    struct recvshim_record record = fixture_record(2000000000, 0);
    record.event = RECVSHIM_EVENT_START;
    record.call = RECVSHIM_CALL_NONE;
    run_while("--", &record);
    expect_said("no recv or recvfrom was seen");
}

/* Whoever joins a trace lives with its switches, and with what it records: that nothing is seen is then no wonder. */
Test(run, tells_that_the_trace_it_joins_is_switched_off)
{
    struct recvshim_record start = fixture_record(2000000000, 10);
    start.event = RECVSHIM_EVENT_START;
    start.call = RECVSHIM_CALL_NONE;
    static const struct {
        char *option;
        const char *said;
    } cases[] = {{"--", "/file: tracing is off in it; recvshim control --tracing on switches it on"},
                 {"--tracing=off", NULL}, /* as was asked for */
                 {"--quiet", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_trace();
        cr_assert_eq(STATUS("control", "--tracing", "off", path), 0);
        attend_while(cases[i].option, &start);
        if (cases[i].said != NULL)
            expect_said(cases[i].said);
        else
            cr_assert_str_eq(said, "", "%s", cases[i].option);
    }
    make_recording(1U << RECVSHIM_EVENT_DISCONNECT);
    attend_while("--", &start);
    cr_assert_str_eq(said, "");
}

/* Rules that recvshim control has set hold for whoever joins, whatever he was started with. */
Test(run, tells_that_its_rules_are_not_followed)
{
    struct recvshim_record received = fixture_record(2000000000, 10);
    make_recording(RECORDED);
    cr_assert_eq(STATUS("control", "--clear-faults", path), 0);
    attend_while("--fault=*:eof", &received);
    expect_said("/file: recvshim control has set the rules of it, and those of --fault are not followed; give them to "
                "recvshim control");
    attend_while("--", &received);
    cr_assert_str_eq(said, "");
}

Test(run, says_that_the_program_may_count_on_interruptions)
{
    struct recvshim_record record = fixture_record(2000000000, 10);
    record.retries = 41;
    record.result_flags = RECVSHIM_RESULT_CANDIDATES;
    cr_assert(signal_names_parse("ALRM,TERM,USR1", &record.signals));
    run_while("--", &record);
    cr_assert_str_eq(said, "");
    record.result_flags |= RECVSHIM_RESULT_INTENT;
    run_while("--", &record);
    expect_said("/file: 1 receive was retried, perhaps after SIGALRM or SIGTERM, whose handlers do not ask for "
                "restarts (SA_RESTART): the program may count on EINTR to stop or to time out; try --eintr intent\n");
    run_while("--quiet", &record);
    cr_assert_str_eq(said, "");
}

/* ---- faults ---- */

/* A receive that never returned has been seen, by what was injected into it. */
Test(run, takes_a_fault_for_a_sign_of_a_receive)
{
    struct recvshim_record record = fixture_fault(2000000000, RECVSHIM_ACTION_DELAY, 1000, 4711, 1);
    run_while("--", &record);
    cr_assert_str_eq(said, "");
}

Test(run, joins_rules_for_the_library)
{
    setenv("RECVSHIM_FAULT", "*:eof", 1);
    cr_assert_eq(STATUS("run", "-q", "sh", "-c", "echo \"$RECVSHIM_FAULT\""), 0);
    cr_assert_str_eq(printed, "*:eof\n");
    cr_assert_eq(STATUS("run", "-q", "--fault", "recv:short=5:when=3", "--fault=*:delay=1ms", "sh", "-c",
                        "echo \"$RECVSHIM_FAULT\""),
                 0);
    cr_assert_str_eq(printed, "recv:short=5:when=3;*:delay=1ms\n");
    cr_assert_eq(STATUS("run", "-q", "--fault", "recv:eof", "--fault", "# two\n*:delay=1ms\n# end", "--fault", "*:drop",
                        "sh", "-c", "echo \"$RECVSHIM_FAULT\""),
                 0);
    cr_assert_str_eq(printed, "recv:eof\n# two\n*:delay=1ms\n# end\n*:drop\n", "comments are lines");
    cr_assert_eq(STATUS("run", "-q", "--fault", "", "sh", "-c", "echo \"<$RECVSHIM_FAULT>\""), 0);
    cr_assert_str_eq(printed, "<>\n", "none in place of the environment's");
}

Test(run, refuses_rules_before_it_starts)
{
    cr_assert_eq(STATUS("run", "--fault", "*:eof:when=3", "--fault", "recv:shrt=5", "echo", "started"), 125);
    cr_assert_eq(
        strncmp(said, "recvshim: --fault: in 'recv:shrt=5' at character 6: 'shrt' is no action; expected ", 80), 0,
        "%s", said);
    expect_said("shrt");
    cr_assert_eq(STATUS("run", "--fault", "*:eof", "--fault", "recv:eof", "echo", "started"), 125);
    expect_said("recvshim: --fault: rule 2 'recv:eof' can never act: rule 1 '*:eof' always acts first\n");
    cr_assert_eq(STATUS("run", "--fault", "read:eof", "echo", "started"), 125);
    expect_said("recvshim: --fault: 'read:eof' can never act: no call of it is handled; name one in --calls, ");
    setenv("RECVSHIM_FAULT", "nonsense", 1);
    cr_assert_eq(STATUS("run", "echo", "started"), 125);
    expect_said("recvshim: RECVSHIM_FAULT=nonsense: must be rules as CALLS:ACTION[:OPTION]...: in 'nonsense' at ");
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("run", "-q", "--fault", "*:eof", "true"), 0, "the option comes first");
}

Test(run, shows_its_rules_in_a_trace_that_it_makes)
{
    cr_assert_eq(STATUS("run", "-q", "--fault=*:short=5", "--trace", path, "true"), 0);
    cr_assert_eq(STATUS("control", "--format=json", path), 0);
    cr_assert_not_null(strstr(printed, "\"generation\":0,\"rules_by\":\"process\",\"rules\":["
                                       "{\"rule\":1,\"text\":\"*:short=5\",\"injected\":0}],"),
                       "%s", printed);
    cr_assert_eq(STATUS("run", "-q", "--fault=*:eof", "--trace", path, "true"), 0);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "*:short=5"), "who joins a trace leaves it as it is");
}

/* What it says where the first rule, and the second, inject that often while it runs; the first had before, too. */
static const char *say_faults(char *faults, char *option, uint64_t first, uint64_t second)
{
    make_recording(RECORDED);
    struct trace other;
    cr_assert_null(trace_open(path, TRACE_CONTROL, &other).what);
    atomic_store(&other.rules[0].injected, recvshim_count_word(0, 1000));
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = start(
        (char *[]){"recvshim", "run", "-o", "/dev/null", "--trace", path, "--fault", faults, option, RUNS_ON, NULL},
        out, err);
    register_program(&other, out);
    atomic_store(&other.rules[0].injected, recvshim_count_word(0, 1000 + first));
    atomic_store(&other.rules[1].injected, recvshim_count_word(0, second));
    struct recvshim_record record = fixture_record(2000000000, 10); /* else it says that nothing was received */
    fixture_store(&other, 0, &record);
    trace_close(&other);
    let_end();
    cr_assert_eq(wait_status(pid), 0);
    slurp(err, said, sizeof said);
    close(out);
    return said;
}

/* Chance decided, by a seed that nobody has seen. */
Test(run, tells_the_seed_that_repeats_what_was_drawn)
{
    cr_assert_str_eq(say_faults("*:short=5:p=0.1;*:short=6", "--", 17, 0),
                     "recvshim: sh: 17 faults injected; --seed 0 repeats them\n");
    cr_assert_str_eq(say_faults("*:short=5:p=0.1;*:short=6", "--", 0, 1), "", "the second rule draws nothing");
    cr_assert_str_eq(say_faults("*:delay=1ms;*:short=1..6", "--", 2, 1),
                     "recvshim: sh: 3 faults injected; --seed 0 repeats them\n");
    cr_assert_str_eq(say_faults("*:corrupt=8", "--", 1, 0), "recvshim: sh: 1 fault injected; --seed 0 repeats it\n");
    cr_assert_str_eq(say_faults("*:corrupt=8:draw=1", "--", 1, 0), "");
    cr_assert_str_eq(say_faults("*:corrupt=8", "--", 0, 0), "");
    cr_assert_str_eq(say_faults("*:corrupt=8", "--quiet", 1, 0), "");
    cr_assert_str_eq(say_faults("*:corrupt=8", "--seed=0", 1, 0), "");
    cr_assert_str_eq(say_faults("*:corrupt=8", "--seed=1", 1, 0),
                     "recvshim: sh: 1 fault injected; --seed 0 repeats it\n", "the trace had one already");
}

/* Rules that control sets hold in place of those that the program was started with. */
Test(run, counts_by_the_rules_that_hold)
{
    static struct fault_rules rules;
    static struct chance chance;
    char problem[FAULT_PROBLEM_MAX];
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    const struct fault_rules own = {0};
    atomic_store(&trace.rules[0].injected, recvshim_count_word(0, 5));
    cr_assert(chance_begin(&chance, &trace));
    cr_assert_eq(chance_count(&chance, &trace, &own), 0);
    cr_assert(fault_rules_parse("*:short=5:p=0.5", &rules, problem));
    control_page_set_rules(&trace, &rules);
    cr_assert_eq(chance_count(&chance, &trace, &own), 0);
    atomic_store(&trace.rules[0].injected, recvshim_count_word(2, 3));
    cr_assert_eq(chance_count(&chance, &trace, &own), 3);
    atomic_store(&trace.control->generation, 3);
    cr_assert_eq(chance_count(&chance, &trace, &own), 0, "nothing is injected by then");
    trace_close(&trace);
}
