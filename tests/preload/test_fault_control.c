/* Rules and tracing that are switched while programs run, by the command and by pages that nobody should write. */
#include "harness.h"
#include "tests/blank_rule.h"

#include "trace/trace_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(fault_control, .init = harness_begin, .fini = harness_end);

/* ---- a hundred processes, one receive at a time ---- */

static struct running steps;
static int commands;

static void start_steps(const char *count, const char *rule)
{
    const char *fifo = path_of("commands");
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    steps = start(&(struct job){.argv = {"lockstep", count, fifo}, .env = {rule}});
    commands = open(fifo, O_WRONLY);
    cr_assert_geq(commands, 0);
}

/* What came of it: "returned failed". */
static const char *step(char command)
{
    static char line[64];
    size_t length = 0;
    cr_assert_eq(write(commands, &command, 1), 1);
    do {
        cr_assert_eq(read(steps.out, line + length, 1), 1);
    } while (line[length++] != '\n');
    line[length - 1] = '\0';
    return line;
}

static void end_steps(void)
{
    close(commands);
    struct finished job = finish(steps);
    cr_expect(exited_with(&job, 0));
    cr_expect_str_empty(job.err);
}

#define CONTROL(...)                                                                                                   \
    control(&(struct job){.argv = {RECVSHIM_COMMAND, "control", __VA_ARGS__, trace_path()}, .native = true})

static char *control(const struct job *job)
{
    struct finished done = finish(start(job));
    cr_assert(exited_with(&done, 0), "%s", done.err);
    return done.out;
}

static long long positions(void)
{
    struct ring ring = read_trace(trace_path());
    long long count = ring.positions;
    free_ring(&ring);
    return count;
}

Test(fault_control, takes_effect_within_one_call_in_a_hundred_processes)
{
    start_steps("100", NULL);
    cr_expect_str_eq(step('x'), "100 0");
    CONTROL("--fault", "*:error=EIO");
    cr_expect_str_eq(step('x'), "0 100");
    cr_expect_str_eq(step('X'), "0 100");
    CONTROL("--fault", "*:error=EIO:when=2:per=process");
    cr_expect_str_eq(step('x'), "100 0", "the rules are others, and count from 1");
    cr_expect_str_eq(step('x'), "0 100");
    cr_expect_str_eq(step('x'), "100 0");
    CONTROL("--fault", "*:error=EIO:times=30:per=trace");
    cr_expect_str_eq(step('x'), "70 30", "all processes count together");
    cr_expect_str_eq(step('x'), "100 0");
    CONTROL("--clear-faults");
    cr_expect_str_eq(step('X'), "100 0");
    CONTROL("--tracing", "off");
    long long before = positions();
    step('X');
    cr_expect_eq(positions(), before);
    CONTROL("--tracing", "on");
    step('x');
    cr_expect_eq(positions(), before + 100);
    end_steps();
}

/* Those that a process was started with hold until others are set, for it and for all who come after. */
Test(fault_control, replaces_what_processes_were_started_with)
{
    start_steps("4", "RECVSHIM_FAULT=*:error=EIO");
    cr_expect_str_eq(step('x'), "0 4");
    CONTROL("--fault", "*:interrupt=3");
    cr_expect_str_eq(step('x'), "4 0");
    CONTROL("--clear-faults");
    cr_expect_str_eq(step('x'), "4 0");
    struct finished late = RUN(.argv = {"faulted", "count=1"}, .env = {"RECVSHIM_FAULT=*:error=EIO"});
    cr_expect_str_eq(late.out, " 30/0a\n");
    end_steps();
}

/* ---- pages that nobody should write ---- */

static struct trace page;

static void open_page(void)
{
    struct trace_error error = trace_open(trace_path(), TRACE_CONTROL, &page);
    cr_assert(error.what == NULL, "%s", error.what);
}

static uint64_t noise = 88172645463325252U;

static uint64_t next_noise(void) /* xorshift64 (Marsaglia 2003) */
{
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    return noise;
}

/* Whatever is written there: rules that are none do nothing. */
Test(fault_control, random_rules_do_nothing)
{
    start_steps("4", NULL);
    step('x');
    open_page();
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < RECVSHIM_MAX_RULES; i++)
            for (size_t n = 0; n < RECVSHIM_RULE_WORDS; n++)
                atomic_store(&page.control->rule_words[i][n], next_noise());
        atomic_store(&page.control->rules, round % 3 == 0 ? (uint32_t)next_noise() : RECVSHIM_MAX_RULES);
        atomic_store(&page.control->generation, (uint32_t)next_noise());
        cr_assert_str_eq(step('X'), "4 0");
    }
    trace_close(&page);
    end_steps();
}

/* Rules that are nearly right, written without any order while they are read. */
Test(fault_control, torn_and_bent_rules_harm_nobody)
{
    struct recvshim_rule rule = {.calls = RECVSHIM_RULE_EVERY_CALL, .low = 1, .high = 7, NO_OPTIONS};
    uint64_t words[RECVSHIM_RULE_WORDS];
    struct running storm = start(&(struct job){.argv = {"storm", "megabytes=4"}});
    while (access(trace_path(), F_OK) != 0)
        usleep(1000);
    open_page();
    struct pollfd ended = {.fd = storm.out, .events = POLLIN};
    for (uint32_t generation = 2; poll(&ended, 1, 0) == 0; generation += (uint32_t)next_noise() % 3) {
        rule.action = (uint8_t)(next_noise() % 4 == 0 ? RECVSHIM_ACTION_INTERRUPT : RECVSHIM_ACTION_SHORT);
        rule.per = (uint8_t)(next_noise() % 5);
        rule.counter = (uint16_t)next_noise();
        rule.step = next_noise() % 3;
        rule.times = next_noise() % 1000;
        memcpy(words, &rule, sizeof words);
        atomic_store(&page.control->rules, 1 + (uint32_t)next_noise() % 3);
        for (size_t n = 0; n < RECVSHIM_RULE_WORDS; n++)
            atomic_store(&page.control->rule_words[next_noise() % 3][n], words[n]);
        atomic_store(&page.control->generation, generation);
    }
    trace_close(&page);
    struct finished job = finish(storm);
    cr_expect(exited_with(&job, 0), "%s", job.err);
    cr_expect_eq(said(&job, "wrong"), 0, "not a byte");
    cr_expect_eq(said(&job, "interrupted"), 0);
}

/* Its map is replaced by zeros: no rules but its own. */
Test(fault_control, a_truncated_trace_has_no_rules)
{
    start_steps("4", NULL);
    step('x');
    CONTROL("--fault", "*:error=EIO");
    cr_expect_str_eq(step('x'), "0 4");
    cr_assert_eq(truncate(trace_path(), 0), 0);
    cr_expect_str_eq(step('x'), "4 0");
    end_steps();
}
