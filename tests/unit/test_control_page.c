/* The control page as a seqlock: what is read is of one moment, whoever writes, and whoever was killed at it. */
#include "fixture.h"
#include "trace/clock.h"
#include "trace/control_page.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(control_page, .timeout = 300);

static struct control_page page;
static struct fault_rules rules;

static void parse(const char *text)
{
    char problem[FAULT_PROBLEM_MAX];
    cr_assert(fault_rules_parse(text, &rules, problem), "%s", problem);
}

Test(control_page, holds_what_was_set)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    parse("recv:error=ECONNRESET:when=3..9+2;*:short=5:per=connection:when=2+3");
    control_page_read(&trace, &page);
    cr_assert_eq(page.generation, 0);
    cr_assert_eq(page.rules.count, 0);
    cr_assert_not(page.tracing);
    control_page_set_rules(&trace, &rules);
    control_page_set_tracing(&trace, true);
    atomic_store(&trace.control->events, 5);
    atomic_store(&trace.rules[0].injected, recvshim_count_word(2, 17));
    atomic_store(&trace.rules[1].injected, recvshim_count_word(4, 18));
    control_page_read(&trace, &page);
    cr_assert(page.tracing);
    cr_assert_eq(page.events, 5);
    cr_assert_eq(page.generation, 2);
    cr_assert_eq(page.claimed, 2);
    cr_assert_eq(page.rules.count, 2);
    cr_assert_eq(memcmp(page.rules.rules, rules.rules, 2 * sizeof rules.rules[0]), 0);
    cr_assert(control_page_is_rule(&page, 1));
    cr_assert_not(control_page_is_rule(&page, 2));
    cr_assert_eq(page.injected[0], 17);
    cr_assert_eq(page.injected[1], 0, "that was another generation's");
    rules.count = 0;
    control_page_set_rules(&trace, &rules);
    control_page_set_tracing(&trace, false);
    control_page_read(&trace, &page);
    cr_assert_eq(page.generation, 4);
    cr_assert_eq(page.rules.count, 0);
    cr_assert_not(page.tracing);
    cr_assert_eq(page.injected[1], 18);
}

Test(control_page, generations_are_even_and_never_0_again)
{
    static const uint32_t rows[][2] = {{0, 2}, {2, 4}, {1, 2}, {7, 8}, {UINT32_MAX - 1, 2}, {UINT32_MAX, 2}};
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        atomic_store(&trace.control->generation, rows[i][0]);
        control_page_set_rules(&trace, &rules);
        cr_assert_eq(atomic_load(&trace.control->generation), rows[i][1], "after %u", rows[i][0]);
    }
}

/* One that was killed while it wrote leaves it so. */
Test(control_page, is_read_as_it_was_left)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    parse("*:short=5");
    control_page_set_rules(&trace, &rules);
    atomic_store(&trace.control->generation, 3);
    control_page_read(&trace, &page);
    cr_assert_eq(page.generation, 3);
}

Test(control_page, claims_of_too_many_rules_are_not_followed)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    atomic_store(&trace.control->rules, RECVSHIM_MAX_RULES + 1);
    control_page_read(&trace, &page);
    cr_assert_eq(page.claimed, RECVSHIM_MAX_RULES + 1);
    cr_assert_eq(page.rules.count, 0);
    atomic_store(&trace.control->rules, RECVSHIM_MAX_RULES);
    control_page_read(&trace, &page);
    cr_assert_eq(page.rules.count, RECVSHIM_MAX_RULES);
    cr_assert_not(control_page_is_rule(&page, 0), "a rule of zeros matches nothing");
}

/* Until the parent ends. */
static _Noreturn void write_rules(const struct trace *trace)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t round = 1;; round++) {
        rules.count = 1 + (uint32_t)(round % RECVSHIM_MAX_RULES);
        for (uint32_t i = 0; i < rules.count; i++)
            rules.rules[i] = (struct recvshim_rule){.low = round, .high = rules.count, .draw = round};
        control_page_set_rules(trace, &rules);
        for (volatile int pause = 0; pause < 3000; pause++)
            ;
    }
}

/* As a writer would: some of the rules of one value, some of another, is what nobody may ever see. */
Test(control_page, is_never_read_half_written)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    pid_t writer = fork();
    if (writer == 0)
        write_rules(&trace);
    size_t whole = 0;
    uint32_t last = 0;
    for (uint64_t end = clock_now() + NANOSECONDS_A_SECOND / 2; whole == 0 || clock_now() < end;) {
        control_page_read(&trace, &page);
        if ((page.generation & 1) != 0 || page.generation == 0)
            continue;
        for (uint32_t j = 0; j < page.rules.count; j++) {
            const struct recvshim_rule *rule = &page.rules.rules[j];
            cr_assert(rule->low == page.rules.rules[0].low && rule->high == page.rules.count && rule->draw == rule->low,
                      "rule %u of generation %u", j, page.generation);
        }
        whole += page.generation != last;
        last = page.generation;
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    cr_assert_gt(whole, 0);
}

Test(control_page, is_locked_for_one)
{
    struct recvshim_header header = fixture_header();
    int fd = fixture_file(&header, 0);
    char path[64];
    struct trace one, other;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    cr_assert_null(trace_open(path, TRACE_CONTROL, &one).what);
    cr_assert_null(trace_open(path, TRACE_CONTROL, &other).what);
    cr_assert_null(control_page_lock(&one, false).what);
    cr_assert_eq(control_page_lock(&other, false).error, EAGAIN);
    trace_close(&one);
    cr_assert_null(control_page_lock(&other, true).what, "it goes with the descriptor");
    trace_close(&other);
}
