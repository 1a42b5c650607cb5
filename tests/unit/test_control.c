/* `recvshim control` as a user meets it: what it sets, what it shows, and what it takes from a hostile trace. */
#include "cli/control_state.h"
#include "cli/utf8.h"
#include "fixture.h"
#include "shell.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(control, .init = shell_begin, .fini = shell_end, .timeout = 300);

static struct fault_rules rules;
static struct control_page page;

/* A trace of this boot and namespace at `path`, whose maker had these rules. Nobody has it mapped. */
static void make(const char *faults)
{
    char problem[FAULT_PROBLEM_MAX];
    struct trace_options options = {.size = TRACE_SIZE_MIN,
                                    .events = RECVSHIM_EVENTS_DEFAULT,
                                    .tracing = true,
                                    .seeded = true,
                                    .seed = UINT64_MAX,
                                    .faults = &rules};
    cr_assert(fault_rules_parse(faults, &rules, problem), "%s", problem);
    cr_assert_null(trace_create(path, &options).what);
}

static struct trace open_trace(enum trace_access access)
{
    struct trace trace;
    cr_assert_null(trace_open(path, access, &trace).what);
    return trace;
}

static void read_page(void)
{
    struct trace trace = open_trace(TRACE_READ);
    control_page_read(&trace, &page);
    trace_close(&trace);
}

static void expect_rules(const char *faults)
{
    static struct fault_rules expected;
    char problem[FAULT_PROBLEM_MAX];
    cr_assert(fault_rules_parse(faults, &expected, problem), "%s", problem);
    read_page();
    cr_assert_eq(page.rules.count, expected.count);
    cr_assert_eq(memcmp(page.rules.rules, expected.rules, expected.count * sizeof expected.rules[0]), 0);
}

Test(control, help_and_usage)
{
    cr_assert_eq(STATUS("control", "--help"), 0);
    cr_assert_not_null(strstr(printed, "All that rules count begins anew, also\nwhere they are the same as before."));
    cr_assert_eq(STATUS("control"), 2);
    cr_assert_str_eq(said, "recvshim: control: give a TRACE, or -p PID; see recvshim control --help\n");
    make("");
    cr_assert_eq(STATUS("control", "--tracing", "maybe", path), 2);
    cr_assert_str_eq(said, "recvshim: --tracing=maybe: must be on or off\n");
    cr_assert_eq(STATUS("control", "--fault", "*:eof", "--clear-faults", path), 2);
    expect_said("give --fault or --clear-faults");
    cr_assert_eq(STATUS("control", "--format", "csv", path), 2);
    cr_assert_str_eq(said, "recvshim: --format=csv: must be text or json\n");
    cr_assert_eq(STATUS("control", "-p", "4194305", "--tracing", "off"), 1);
    expect_said("process 4194305: does not exist");
    cr_assert_eq(STATUS("control", "/nonexistent", "--tracing", "off"), 1);
    expect_said("/nonexistent: cannot be opened: No such file");
}

/* Nothing is changed unless all is good. */
Test(control, validates_before_it_changes_anything)
{
    make("");
    cr_assert_eq(STATUS("control", "--tracing=off", "--fault", "*:short=5", "--fault", "recv:shrt=5", path), 2);
    expect_said("recvshim: --fault: ");
    expect_said("shrt");
    cr_assert_eq(STATUS("control", "--tracing=off", "--fault", "*:eof", "--fault", "recv:eof", path), 2);
    expect_said("recvshim: --fault: ");
    read_page();
    cr_assert(page.tracing);
    cr_assert_eq(page.generation, 0);
    cr_assert_eq(STATUS("control", "--tracing=off", path, "-o", "/nonexistent/file"), 1);
    read_page();
    cr_assert(page.tracing);
}

Test(control, sets_rules_and_tracing)
{
    make("");
    cr_assert_eq(STATUS("control", "--fault", "recv:error=ECONNRESET:when=3..9+2", "--fault=*:short=5", path), 0);
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(printed, "2 rules hold in every process that has the trace mapped (none at the moment)\n");
    expect_rules("recv:error=ECONNRESET:when=3..9+2;*:short=5");
    cr_assert_eq(page.generation, 2);
    cr_assert_eq(STATUS("control", path, "--tracing=off", "--fault=# a comment\n*:short=5", "--fault", "*:delay=1ms"),
                 0);
    cr_assert_str_eq(
        printed, "tracing is off, and 2 rules hold in every process that has the trace mapped (none at the moment)\n");
    expect_rules("*:short=5;*:delay=1ms");
    cr_assert_eq(page.generation, 4);
    cr_assert_not(page.tracing);
    cr_assert_eq(STATUS("control", path, "--fault", "*:short=5;*:delay=1ms"), 0, "the same as before");
    cr_assert_eq(STATUS("control", path, "--fault", "*:short=5"), 0);
    cr_assert_str_eq(printed, "1 rule holds in every process that has the trace mapped (none at the moment)\n");
    read_page();
    cr_assert_eq(page.generation, 8);
    cr_assert_eq(STATUS("control", path, "--clear-faults"), 0);
    cr_assert_str_eq(printed, "faults are off in every process that has the trace mapped (none at the moment)\n");
    expect_rules("");
    cr_assert_eq(page.generation, 10);
    cr_assert_eq(STATUS("control", path, "--tracing", "on"), 0);
    cr_assert_str_eq(printed, "tracing is on in every process that has the trace mapped (none at the moment)\n");
    read_page();
    cr_assert_eq(page.generation, 10);
    cr_assert(page.tracing);
}

Test(control, shows_what_holds)
{
    make("");
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(printed,
                     "tracing    on\n"
                     "events     all but would-block\n"
                     "seed       18446744073709551615\n"
                     "faults     each process has the rules that it was started with; whoever made the trace had none\n"
                     "mapped by  nobody\n");
    cr_assert_eq(unlink(path), 0);
    make("*:short=5");
    struct trace trace = open_trace(TRACE_CONTROL);
    atomic_store(&trace.rules[0].injected, recvshim_count_word(0, 17));
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nfaults     each process has the rules that it was started with; whoever made "
                                       "the trace had 1:\n"
                                       "           RULE  INJECTED\n"
                                       "              1        17  *:short=5\n"
                                       "mapped by  nobody\n"),
                       "%s", printed);
    cr_assert_eq(STATUS("control", path, "--fault", "recv:error=ECONNRESET", "--fault", "recvfrom:eof"), 0);
    atomic_store(&trace.rules[1].injected, recvshim_count_word(2, 123456789));
    control_page_set_tracing(&trace, false);
    atomic_store(&trace.control->events, 1U << RECVSHIM_EVENT_ERROR | 1U << RECVSHIM_EVENT_FAULT | 1U << 31);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_str_eq(printed, "tracing    off\n"
                              "events     error fault unknown\n"
                              "seed       18446744073709551615\n"
                              "faults     2 rules in every process, by recvshim control (generation 2):\n"
                              "           RULE  INJECTED\n"
                              "              1         0  recv:error=ECONNRESET\n"
                              "              2 123456789  recvfrom:eof\n"
                              "mapped by  nobody\n");
    atomic_store(&trace.control->events, 0);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nevents     none\n"));
    atomic_store(&trace.control->events, RECVSHIM_EVENTS_ALL);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nevents     all\n"));
    atomic_store(&trace.control->events, 1U << RECVSHIM_EVENT_ERROR | 1U << RECVSHIM_EVENT_FAULT | 1U << 31);
    cr_assert_eq(STATUS("control", "--color=always", path), 0);
    cr_assert_not_null(strstr(printed, "tracing    \033[33moff\033[0m\n"));
    cr_assert_eq(STATUS("control", "--format=json", path), 0);
    cr_assert_str_eq(printed, "{\"tracing\":false,\"events\":[\"error\",\"fault\",\"unknown\"],"
                              "\"seed\":\"18446744073709551615\",\"generation\":2,\"rules_by\":\"control\",\"rules\":["
                              "{\"rule\":1,\"text\":\"recv:error=ECONNRESET\",\"injected\":0},"
                              "{\"rule\":2,\"text\":\"recvfrom:eof\",\"injected\":123456789}],\"damaged\":false,"
                              "\"written\":false,\"processes\":[]}\n");
    cr_assert_eq(STATUS("control", "--format=json", "--clear-faults", path), 0);
    cr_assert_not_null(strstr(printed, "\"generation\":4,\"rules_by\":\"control\",\"rules\":[],"));
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nfaults     none in any process, by recvshim control (generation 4)\n"));
    cr_assert_eq(STATUS("control", path, "-o", "/dev/full"), 1);
    expect_said("/dev/full: cannot be written: No space left");
    cr_assert_eq(STATUS("control", path, "-o", path), 1);
    expect_said("is the trace itself");
    trace_close(&trace);
}

/* ---- who has it mapped ---- */

/* A process that has it mapped, and stands in its table twice: before an exec, and after it. Or one that has not. */
static pid_t begin_process(bool maps)
{
    int ends[2];
    char byte;
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct trace trace;
        if (maps) {
            trace = open_trace(TRACE_RECORD);
            fixture_process(&trace, (uint32_t)getpid(), 1000, "sh");
            fixture_process(&trace, (uint32_t)getpid(), 2000, "cu\033rl");
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the test fails */
        cr_assert_eq(write(ends[1], "x", 1), 1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(control, tells_who_has_it_mapped)
{
    char expected[256];
    make("");
    pid_t bystander = begin_process(false), pid = begin_process(true), other = begin_process(true);
    struct trace trace = open_trace(TRACE_CONTROL);
    fixture_process(&trace, (uint32_t)bystander, 500, "ended"); /* its number is another process's by now */
    cr_assert_eq(STATUS("control", path), 0);
    snprintf(expected, sizeof expected, "\nmapped by  2 processes:\n        %7d  cu\\x1brl\n        %7d  cu\\x1brl\n",
             (int)(pid < other ? pid : other), (int)(pid < other ? other : pid));
    cr_assert_not_null(strstr(printed, expected), "%s", printed);
    cr_assert_eq(STATUS("control", "--tracing=off", path), 0);
    cr_assert_str_eq(printed, "tracing is off in every process that has the trace mapped (2 running)\n");
    cr_assert_eq(STATUS("control", "--format=json", path), 0);
    cr_assert_not_null(strstr(printed, "\"comm\":\"cu\\u001brl\"},{\"pid\":"), "%s", printed);
    end_process(other);
    cr_assert_eq(STATUS("control", "--clear-faults", path), 0);
    cr_assert_str_eq(printed, "faults are off in every process that has the trace mapped (1 running)\n");
    char number[16];
    snprintf(number, sizeof number, "%d", (int)pid);
    cr_assert_eq(STATUS("control", "-p", number, "--format=json"), 0);
    snprintf(expected, sizeof expected, "\"written\":true,\"processes\":[{\"pid\":%d,\"comm\":\"cu\\u001brl\"}]}\n",
             (int)pid);
    cr_assert_not_null(strstr(printed, expected), "%s", printed);
    cr_assert_eq(STATUS("control", "-p", number, "--fault", "*:short=5"), 0);
    expect_rules("*:short=5");
    end_process(pid);
    end_process(bystander);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nmapped by  nobody\n"));
    trace_close(&trace);
}

Test(control, tells_no_numbers_of_another_namespace)
{
    make("");
    pid_t pid = begin_process(true);
    struct trace trace = open_trace(TRACE_CONTROL);
    atomic_store(&trace.counters->foreign, 1);
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nmapped by  somebody, who cannot be told from here: "), "%s", printed);
    cr_assert_eq(STATUS("control", "--format=json", path), 0);
    cr_assert_not_null(strstr(printed, "\"written\":true,\"processes\":null}\n"), "%s", printed);
    cr_assert_eq(STATUS("control", "--tracing=on", path), 0);
    cr_assert_str_eq(printed, "tracing is on in every process that has the trace mapped\n");
    end_process(pid);
    trace_close(&trace);
}

/* ---- who may ---- */

static int as_nobody(char *const argv[])
{
    int err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(err, STDERR_FILENO);
        close(STDOUT_FILENO);
        open("/dev/null", O_WRONLY);
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(77);
        execv(COMMAND_PATH, argv);
        _exit(77); /* out of that user's reach */
    }
    int status = wait_status(pid);
    slurp(err, said, sizeof said);
    return status;
}

Test(control, says_whose_the_trace_is)
{
    make("");
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_assert_eq(chmod(path, 0444), 0);
    int status = as_nobody((char *[]){"recvshim", "control", "--tracing=off", path, NULL});
    if (status == 77 || geteuid() != 0)
        cr_skip_test("only root can be somebody else here");
    cr_assert_eq(status, 1);
    expect_said("/file: cannot be opened: Permission denied; it belongs to root: run recvshim control as that user\n");
    read_page();
    cr_assert(page.tracing);
    cr_assert_eq(as_nobody((char *[]){"recvshim", "control", path, NULL}), 0, "looking may be allowed");
    cr_assert_str_eq(said, "");
    cr_assert_eq(chown(path, 65534, 65534), 0);
    cr_assert_eq(as_nobody((char *[]){"recvshim", "control", "--tracing=off", path, NULL}), 1);
    expect_said("; it is yours: give yourself the right to write it\n");
}

Test(control, waits_for_another_one)
{
    make("");
    struct trace trace = open_trace(TRACE_CONTROL);
    cr_assert_null(control_page_lock(&trace, false).what);
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    pid_t pid = start((char *[]){"recvshim", "control", "--tracing=off", path, NULL}, out, err);
    for (char text[8] = ""; text[0] == '\0'; usleep(1000))
        cr_assert_geq(pread(err, text, sizeof text, 0), 0);
    cr_assert_eq(STATUS("control", path), 0, "who only looks waits for nobody");
    usleep(50000);
    cr_assert_eq(atomic_load(&trace.control->tracing), 1);
    trace_close(&trace);
    cr_assert_eq(wait_status(pid), 0);
    slurp(err, said, sizeof said);
    expect_said("/file: another recvshim control is changing it; waiting for its end\n");
    close(out);
    read_page();
    cr_assert_not(page.tracing);
}

Test(control, many_at_once_come_one_after_the_other)
{
    enum { MANY = 20 };
    static pid_t pids[MANY];
    make("");
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    for (int i = 0; i < MANY; i++) {
        char some[512] = "";
        for (int j = 0; j < 10; j++)
            snprintf(some + strlen(some), sizeof some - strlen(some), "*:short=%d:when=%d;", 1 + i, 1 + j);
        pids[i] = start((char *[]){"recvshim", "control", "--fault", some, path, NULL}, out, err);
    }
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(wait_status(pids[i]), 0);
    close(out);
    close(err);
    read_page();
    cr_assert_eq(page.generation, 2 * MANY);
    cr_assert_eq(page.rules.count, 10);
    for (uint32_t i = 0; i < page.rules.count; i++)
        cr_assert_eq(page.rules.rules[i].low, page.rules.rules[0].low);
}

/* ---- damage ---- */

Test(control, mends_what_a_killed_one_left)
{
    make("");
    struct trace trace = open_trace(TRACE_CONTROL);
    atomic_store(&trace.control->generation, 7);
    atomic_store(&trace.control->rules, 3); /* of zeros */
    cr_assert_eq(STATUS("control", path), 0);
    cr_assert_not_null(strstr(printed, "\nfaults     none: the rules are being changed, or recvshim control was killed "
                                       "while it did that; set them again\nmapped by  nobody\n"));
    cr_assert_eq(STATUS("control", "--format=json", path), 0);
    cr_assert_not_null(strstr(printed, "\"generation\":7,\"rules_by\":null,\"rules\":[],\"damaged\":false,"));
    cr_assert_eq(STATUS("control", "--fault", "*:short=5", path), 0);
    expect_rules("*:short=5");
    cr_assert_eq(page.generation, 8);
    trace_close(&trace);
}

Test(control, shows_damage_and_does_not_trust_it)
{
    make("");
    struct trace trace = open_trace(TRACE_CONTROL);
    atomic_store(&trace.control->generation, 8);
    atomic_store(&trace.control->rules, 1);
    cr_assert_eq(STATUS("control", path), 1);
    expect_said("/file: its rules are damaged; set them again with --fault, or give --clear-faults\n");
    cr_assert_not_null(
        strstr(printed, "              1         0  damaged, and followed by nobody; set the rules again\n"));
    cr_assert_eq(STATUS("control", "--format=json", path), 1);
    cr_assert_not_null(strstr(printed, "\"rules\":[{\"rule\":1,\"text\":null,\"injected\":0}],\"damaged\":true,"));
    atomic_store(&trace.control->rules, 513);
    cr_assert_eq(STATUS("control", path), 1);
    cr_assert_not_null(strstr(printed, "\nfaults     damaged: there are never 513 rules; set them again\n"));
    cr_assert_eq(STATUS("control", "--clear-faults", path), 0);
    cr_assert_eq(STATUS("control", path), 0);
    trace_close(&trace);
}

static void print_state(const struct trace *trace, bool json)
{
    static struct control_state state;
    static struct output output;
    static char text[1 << 18];
    bool cut_short;
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    cr_assert(control_state_look(&state, trace, &cut_short));
    if (json)
        control_state_json(&state, &output);
    else
        control_state_text(&state, &output, true);
    control_state_free(&state);
    output_flush(&output);
    cr_assert_eq(output.error, 0);
    slurp(output.fd, text, sizeof text);
    uint32_t character;
    size_t length = strlen(text);
    cr_assert_lt(length, sizeof text - 1);
    for (size_t at = 0, step; at < length; at += step) {
        step = utf8_decode(text + at, length - at, &character);
        cr_assert_neq(step, 0, "no UTF-8");
    }
}

/* Any bytes at all, and good rules with some of them changed. */
Test(control, survives_hostile_pages)
{
    make("recv:error=ECONNRESET:when=3..9+2:peer=127.0.0.1;*:delay=1ms..2s:p=0.5;*:corrupt=8:peer=[fe80::]/10");
    struct trace trace = open_trace(TRACE_CONTROL);
    static struct recvshim_control good;
    memcpy(&good, trace.control, sizeof good);
    pid_t pid = begin_process(true);
    srandom(4711);
    for (int round = 0; round < 3000; round++) {
        unsigned char *bytes = (unsigned char *)trace.control;
        size_t size = sizeof *trace.control, rules_size = 3 * sizeof(struct recvshim_rule);
        memcpy(trace.control, &good, sizeof good);
        if (round % 30 == 0)
            for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)random();
        for (int i = 0; round % 30 != 0 && i < 1 + round % 3; i++)
            bytes[offsetof(struct recvshim_control, rule_words) + (size_t)random() % rules_size] =
                (unsigned char)random();
        if (round % 3 == 0)
            atomic_store(&trace.control->rules, (uint32_t)random() % (2 * RECVSHIM_MAX_RULES));
        if (round % 30 != 1)
            atomic_store(&trace.control->generation, (uint32_t)random() & ~1U); /* an odd one is waited for */
        print_state(&trace, round % 2 == 0);
    }
    memset(trace.control, 0xff, sizeof *trace.control);
    atomic_store(&trace.counters->processes, UINT64_MAX);
    memset(trace.processes, 0xff, trace.header.processes * sizeof *trace.processes);
    print_state(&trace, false);
    print_state(&trace, true);
    end_process(pid);
    trace_close(&trace);
}

Test(control, survives_truncation)
{
    static struct control_state state;
    bool cut_short;
    make("");
    struct trace trace = open_trace(TRACE_CONTROL);
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_not(control_state_look(&state, &trace, &cut_short));
    cr_assert(cut_short);
    control_state_free(&state);
    trace_close(&trace);
}
