/* `show --format faults`: the rules that repeat what was injected, and nothing else. */
#include "cli/fault_list.h"
#include "printing.h"
#include "shell.h"
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(fault_list, .init = shell_begin, .fini = shell_end, .timeout = 300);

static struct trace trace;
static struct printer printer;
static struct fault_list list;
static uint64_t now;

static void begin_list(void)
{
    static const struct process_list nobody;
    list = (struct fault_list){.seed = 4711};
    now = 1000;
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    printer_init(&printer, &output, &format_faults, &trace, &nobody);
    printer.faults = &list;
}

static void add_record(struct recvshim_record record)
{
    static struct event_maker maker;
    static struct process_list nobody;
    struct event event = {.record = record};
    event_maker_init(&maker, &trace, &nobody);
    event_complete(&maker, &event);
    printer_event(&printer, &event);
}

static void add(enum recvshim_action action, uint64_t value, uint64_t origin, uint64_t ordinal)
{
    add_record(fixture_fault(now++, action, value, origin, ordinal));
}

/* By another rule, in another process, on another connection. */
static void add_by(uint32_t rule, uint32_t pid, uint64_t connection, enum recvshim_action action, uint64_t value,
                   uint64_t origin, uint64_t ordinal)
{
    struct recvshim_record record = fixture_fault(now++, action, value, origin, ordinal);
    record.rule = rule;
    record.pid = record.tid = pid;
    record.connection = connection;
    add_record(record);
}

/* All that is printed, and the rules that are read from it. */
static struct fault_rules parsed;
static char text[1 << 18];

static void end_list(void)
{
    static char problem[FAULT_PROBLEM_MAX];
    format_faults.end(&printer);
    snprintf(text, sizeof text, "%s", take_printed());
    if (list.rule_count <= RECVSHIM_MAX_RULES)
        cr_assert(fault_rules_parse(text, &parsed, problem), "%s\n%s", problem, text);
    trace_close(&trace);
}

static void expect(const char *rules)
{
    end_list();
    const char *at = text;
    while (*at == '#')
        at = strchr(at, '\n') + 1;
    cr_assert_str_eq(at, rules);
    fault_list_free(&list);
}

#define AT(when, origin) ":when=" when ":per=connection:origin=" origin "\n"

Test(fault_list, has_a_rule_for_each_injection)
{
    begin_list();
    add(RECVSHIM_ACTION_ERROR, ECONNRESET, 0xb2, 3);
    add(RECVSHIM_ACTION_CORRUPT, 8, 0xb2, 2); /* the fixture draws origin ^ ordinal */
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 1);
    add(RECVSHIM_ACTION_EOF, 0, 0xa1, 7);
    add_record(fixture_record(now, 10));
    end_list();
    cr_assert_str_eq(
        text, "# 4 injected faults as 4 rules. Seed of the trace: 4711\n"
              "# Once more: recvshim run --fault \"$(cat FILE)\" -- COMMAND\n"
              "*:short=5" AT("1", "a1") "*:eof" AT("7", "a1") "*:corrupt=8:when=2:per=connection:origin=b2:draw=b0\n"
                                                              "*:error=ECONNRESET" AT("3", "b2"));
    fault_list_free(&list);
    begin_list();
    add_record(fixture_record(now, 10));
    end_list();
    cr_assert_str_eq(text, "# No injected faults. Seed of the trace: 4711\n");
}

Test(fault_list, equal_distances_become_one_rule)
{
    begin_list();
    for (uint64_t ordinal = 3; ordinal <= 11; ordinal += 2)
        add(RECVSHIM_ACTION_SHORT, 5, 0xa1, ordinal);
    for (uint64_t ordinal = 4; ordinal <= 7; ordinal++)
        add(RECVSHIM_ACTION_SHORT, 6, 0xb2, ordinal);
    add(RECVSHIM_ACTION_SHORT, 6, 0xb2, 10);
    add(RECVSHIM_ACTION_SHORT, 6, 0xb2, 20);
    expect("*:short=5" AT("3..11+2", "a1") "*:short=6" AT("4..7", "b2") "*:short=6" AT("10..20+10", "b2"));
    begin_list();
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 1);
    add(RECVSHIM_ACTION_SHORT, 6, 0xa1, 2);
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 3);
    add(RECVSHIM_ACTION_ERROR, EIO, 0xa1, 4);
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 5);
    add(RECVSHIM_ACTION_SHORT, 5, 0xb2, 7);
    expect(
        "*:short=5" AT("1..5+2", "a1") "*:short=6" AT("2", "a1") "*:error=EIO" AT("4", "a1") "*:short=5" AT("7", "b2"));
    begin_list();
    for (uint64_t ordinal = 1; ordinal <= 3; ordinal++) {
        struct recvshim_record record = fixture_fault(now++, RECVSHIM_ACTION_CORRUPT, 8, 0xa1, ordinal);
        record.injection.draw = ordinal < 3 ? 0xd1 : 0xd2;
        add_record(record);
    }
    expect("*:corrupt=8:when=1..2:per=connection:origin=a1:draw=d1\n"
           "*:corrupt=8:when=3:per=connection:origin=a1:draw=d2\n");
}

Test(fault_list, delays_of_one_call_add_up)
{
    const uint64_t ms = 1000000, hour = 3600 * UINT64_C(1000000000);
    begin_list();
    add_by(1, 42, 7, RECVSHIM_ACTION_DELAY, 1 * ms, 0xa1, 3);
    add_by(4, 42, 7, RECVSHIM_ACTION_DELAY, 2 * ms, 0xa1, 3);
    add_by(2, 42, 7, RECVSHIM_ACTION_SHORT, 5, 0xa1, 3);
    add_by(1, 42, 7, RECVSHIM_ACTION_DELAY, 3 * ms, 0xa1, 4);
    add_by(1, 42, 7, RECVSHIM_ACTION_DELAY, 0, 0xa1, 9); /* drawn from 0 to more */
    end_list();
    cr_assert_eq(list.senseless, 0);
    cr_assert_eq(list.injections, 3);
    cr_assert_not_null(strstr(text, "\n*:short=5" AT("3", "a1") "*:delay=3ms" AT("3..4", "a1")), "%s", text);
    fault_list_free(&list);
    begin_list();
    add_by(1, 42, 7, RECVSHIM_ACTION_DELAY, hour, 0xa1, 3);
    add_by(2, 42, 7, RECVSHIM_ACTION_DELAY, hour, 0xa1, 3);
    expect("*:delay=3600s" AT("3", "a1") "*:delay=3600s" AT("3", "a1"));
}

/* What is the same receive of another process, or of the same program once more. */
Test(fault_list, two_runs_are_one)
{
    begin_list();
    for (uint32_t run = 0; run < 3; run++) {
        add_by(1, 42 + run / 2, 7 + run, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3);
        add_by(2, 42 + run / 2, 7 + run, RECVSHIM_ACTION_DELAY, 2000, 0xa1, 3);
        add_by(3, 42 + run / 2, 7 + run, RECVSHIM_ACTION_SHORT, 5, 0xa1, 3);
    }
    end_list();
    cr_assert_eq(list.contrary, 0);
    cr_assert_eq(list.injections, 2);
    cr_assert_not_null(strstr(text, "\n# Counted once: 2 receives of another process or run, with the same faults as "
                                    "here\n*:"),
                       "%s", text);
    cr_assert_eq(list.rule_count, 2);
    fault_list_free(&list);
    begin_list(); /* two threads at once: one comes between the other's */
    struct recvshim_record records[4];
    for (uint32_t i = 0; i < 4; i++) {
        records[i] = fixture_fault(now, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3);
        records[i].rule = 1 + i / 2;
        records[i].tid = 42 + i % 2;
        add_record(records[i]);
    }
    expect("*:delay=2us" AT("3", "a1"));
}

/* Had by the first of two runs, and not by the second: by other rules, or by rules that were changed. */
Test(fault_list, the_earlier_of_two_contrary_runs_counts)
{
    begin_list();
    add_by(1, 44, 9, RECVSHIM_ACTION_SHORT, 5, 0xa1, 3);
    add_by(1, 42, 7, RECVSHIM_ACTION_SHORT, 6, 0xa1, 3);
    add_by(1, 43, 8, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3);
    add_by(1, 43, 8, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3); /* the same rule once more: the next call */
    end_list();
    cr_assert_eq(list.contrary, 3);
    cr_assert_not_null(strstr(text, "\n# Left out: 3 receives of another run, with other faults than here\n"));
    cr_assert_not_null(strstr(text, "\n*:short=5" AT("3", "a1")));
    cr_assert_eq(parsed.count, 1);
    fault_list_free(&list);
    begin_list();
    add_by(1, 42, 7, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3);
    add_by(1, 43, 8, RECVSHIM_ACTION_DELAY, 2000, 0xa1, 3);
    add_by(1, 42, 7, RECVSHIM_ACTION_SHORT, 5, 0xa1, 4);
    add_by(2, 42, 7, RECVSHIM_ACTION_DELAY, 2000, 0xa1, 4); /* after its end: the next call */
    end_list();
    cr_assert_eq(list.contrary, 2);
    cr_assert_eq(list.injections, 2);
    fault_list_free(&list);
    begin_list();
    struct recvshim_record record = fixture_fault(now, RECVSHIM_ACTION_DELAY, 1000, 0xa1, 3);
    add_record(record);
    record.rule = 2;
    record.tid = 43; /* another thread's: no more of the same call */
    add_record(record);
    expect("*:delay=1us" AT("3", "a1"));
}

/* ---- any injections at all ---- */

#define ORIGINS  3
#define ORDINALS 24

struct suffered {
    uint64_t delay;
    bool other;
    struct recvshim_rule rule; /* with its action, value and draw */
};

/* What a library would do by these rules. */
static struct suffered by_rules(uint64_t origin, uint64_t ordinal)
{
    struct suffered suffered = {0};
    for (uint32_t i = 0; i < parsed.count; i++) {
        const struct recvshim_rule *rule = &parsed.rules[i];
        cr_assert_eq(rule->per, RECVSHIM_PER_CONNECTION);
        cr_assert(fault_rule_counts_every_call(rule));
        cr_assert_neq(rule->origin, 0);
        if (rule->origin != origin || ordinal < rule->first || ordinal > rule->last ||
            (ordinal - rule->first) % rule->step != 0)
            continue;
        if (rule->action == RECVSHIM_ACTION_DELAY) {
            suffered.delay += rule->low;
        } else if (!suffered.other) {
            suffered.other = true;
            suffered.rule = *rule;
        }
    }
    return suffered;
}

static struct suffered make_call(uint64_t origin, uint64_t ordinal)
{
    struct suffered suffered = {0};
    uint32_t rule = 1;
    for (int delays = (int)(random() % 8) - 5; delays > 0; delays--) {
        uint64_t value = 1000 * (1 + (uint64_t)random() % 2);
        add_by(rule++, 42, origin, RECVSHIM_ACTION_DELAY, value, origin, ordinal);
        suffered.delay += value;
    }
    if (random() % 3 == 0) {
        static const enum recvshim_action actions[] = {RECVSHIM_ACTION_SHORT, RECVSHIM_ACTION_ERROR,
                                                       RECVSHIM_ACTION_CORRUPT};
        suffered.other = true;
        suffered.rule.action = (uint8_t)actions[random() % 3];
        suffered.rule.low = 1 + (uint64_t)random() % 2;
        suffered.rule.draw = suffered.rule.action == RECVSHIM_ACTION_CORRUPT ? origin ^ ordinal : 0;
        add_by(1, 42, origin, (enum recvshim_action)suffered.rule.action, suffered.rule.low, origin, ordinal);
    }
    return suffered;
}

Test(fault_list, repeats_exactly_what_was_injected)
{
    static struct suffered expected[ORIGINS][ORDINALS];
    srandom(4711);
    for (int round = 0; round < 300; round++) {
        begin_list();
        for (uint64_t ordinal = 1; ordinal <= ORDINALS; ordinal++)
            for (uint64_t origin = 0; origin < ORIGINS; origin++)
                expected[origin][ordinal - 1] = make_call(0xa0 + origin, ordinal);
        end_list();
        cr_assert_eq(list.contrary + list.senseless, 0);
        for (uint64_t ordinal = 1; ordinal <= 2 * ORDINALS; ordinal++) {
            for (uint64_t origin = 0; origin < ORIGINS; origin++) {
                static const struct suffered nothing;
                const struct suffered *want = ordinal <= ORDINALS ? &expected[origin][ordinal - 1] : &nothing;
                struct suffered got = by_rules(0xa0 + origin, ordinal);
                cr_assert(got.delay == want->delay && got.other == want->other &&
                              got.rule.action == want->rule.action && got.rule.low == want->rule.low &&
                              got.rule.draw == want->rule.draw,
                          "receive %d of origin %d\n%s", (int)ordinal, (int)origin, text);
            }
        }
        fault_list_free(&list);
    }
}

/* ---- what goes wrong ---- */

Test(fault_list, leaves_out_what_makes_no_sense)
{
    begin_list();
    struct recvshim_record record;
    for (unsigned int byte = 0; byte < 256; byte++) {
        memset(&record, (int)byte, sizeof record);
        record.event = RECVSHIM_EVENT_FAULT;
        add_record(record);
        record.injected = 1U << RECVSHIM_ACTION_DELAY;
        record.rule = 0;
        record.result = 1;
        record.ordinal = 1 + byte;
        add_record(record);
        add_record(record);
    }
    end_list();
    cr_assert_gt(list.senseless, 200);
    fault_list_free(&list);
}

Test(fault_list, ends_where_memory_does)
{
    begin_list();
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 1);
    list.out_of_memory = true;
    add(RECVSHIM_ACTION_SHORT, 5, 0xa1, 2);
    end_list();
    cr_assert_str_eq(text, "", "half a list would be taken for the whole");
    fault_list_free(&list);
}

/* ---- as a user meets it ---- */

static struct trace open_file(void)
{
    struct trace file;
    cr_assert_null(trace_open(path, TRACE_CONTROL, &file).what);
    return file;
}

static struct trace make_file(enum recvshim_mode mode, uint64_t size)
{
    struct trace_options options = {
        .size = size, .mode = mode, .events = RECVSHIM_EVENTS_DEFAULT, .tracing = true, .seeded = true, .seed = 17};
    cr_assert_null(trace_create(path, &options).what);
    return open_file();
}

Test(fault_list, is_shown)
{
    struct trace file = make_file(RECVSHIM_MODE_OVERWRITE, TRACE_SIZE_MIN);
    struct recvshim_record record = fixture_fault(file.header.monotonic, RECVSHIM_ACTION_SHORT, 5, 0xa1, 1);
    fixture_store(&file, 0, &record);
    record = fixture_fault(file.header.monotonic, RECVSHIM_ACTION_EOF, 0, 0xb2, 1);
    record.connection = 8;
    fixture_store(&file, 0, &record);
    cr_assert_eq(STATUS("show", "--format=faults", path), 0);
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(printed, "# 2 injected faults as 2 rules. Seed of the trace: 17\n"
                              "# Once more: recvshim run --fault \"$(cat FILE)\" -- COMMAND\n"
                              "*:short=5" AT("1", "a1") "*:eof" AT("1", "b2"));
    cr_assert_eq(STATUS("control", "--fault", printed, path), 0, "it is what --fault takes");
    cr_assert_eq(STATUS("show", "--format=faults", "--connection=8", path), 0);
    cr_assert_not_null(strstr(printed,
                              "\n# recvshim control has set rules: receives were counted from 1 again from then "
                              "on\n*:eof" AT("1", "b2")));
    cr_assert_eq(STATUS("show", "--format=faults", "--event=receive", path), 0);
    cr_assert_eq(strncmp(printed, "# No injected faults. ", 22), 0);
    struct recvshim_record contrary = record;
    contrary.result = 1;
    contrary.injected = 1U << RECVSHIM_ACTION_TRUNCATE;
    contrary.pid++;
    fixture_store(&file, 0, &contrary);
    cr_assert_eq(STATUS("show", "--format=faults", path), 0);
    expect_said("/file: 1 receive had other faults than in an earlier run; choose one run by --pid, or by --since and "
                "--until\n");
    record.injection.origin = 0;
    fixture_store(&file, 0, &record);
    cr_assert_eq(STATUS("show", "--format=faults", "--pid=42", path), 1);
    expect_said("/file: is damaged: 1 of its faults make no sense, and were left out\n");
    trace_close(&file);
    cr_assert_eq(STATUS("run", "--format=faults", "true"), 125);
    expect_said("--format=faults: must be text, json or csv");
}

Test(fault_list, says_what_may_be_missing)
{
    struct trace file = make_file(RECVSHIM_MODE_STOP, TRACE_SIZE_MIN);
    for (uint64_t i = 0; i <= file.header.slots; i++) {
        struct recvshim_record record = fixture_fault(file.header.monotonic, RECVSHIM_ACTION_SHORT, 5, 0xa1, 1 + i);
        fixture_store(&file, 0, &record);
    }
    trace_close(&file);
    cr_assert_eq(STATUS("show", "--format=faults", path), 0);
    cr_assert_not_null(strstr(printed, "\n# Incomplete: there may be faults among the lost events, 1 in number\n"));
    cr_assert_not_null(strstr(said, "/file: the rules are incomplete: there may be faults among the lost events\n"));
    cr_assert_not_null(strstr(said, "/file: 1 of "));
    cr_assert_null(strstr(printed, "Perhaps"));
    cr_assert_eq(STATUS("control", "--tracing=off", path), 0);
    cr_assert_eq(STATUS("show", "--format=faults", path), 0);
    cr_assert_not_null(strstr(printed, "\n# Perhaps incomplete: tracing is off, or `fault' is none of the events"));
    cr_assert_not_null(strstr(said, "/file: the rules may be incomplete: tracing is off, or"));
}

Test(fault_list, says_how_to_choose_where_there_are_too_many)
{
    struct trace file = make_file(RECVSHIM_MODE_OVERWRITE, 1 << 20);
    for (uint64_t i = 0; i <= RECVSHIM_MAX_RULES; i++) {
        struct recvshim_record record = fixture_fault(file.header.monotonic, RECVSHIM_ACTION_SHORT, 5, 0xa1 + i, 1);
        fixture_store(&file, 0, &record);
    }
    trace_close(&file);
    cr_assert_eq(STATUS("show", "--format=faults", path), 0);
    expect_said(
        "/file: 513 rules, and recvshim takes 512 at once; choose by --connection, --pid, --since or --until\n");
    size_t lines = 0;
    for (const char *at = printed; (at = strstr(at, "\n*:short=5:when=1:")) != NULL; at++)
        lines++;
    cr_assert_eq(lines, 513);
}
