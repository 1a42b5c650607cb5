/* What injected faults look like in each format, and which rule does one again. */
#include "printing.h"
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(injection, .init = use_utc);

#define ORIGIN UINT64_C(0x8c1f03e2a7b0d5e6)

/* Into the third receive on a TCP connection from 127.0.0.1. */
static struct recvshim_record fault(enum recvshim_action action, uint64_t value)
{
    struct recvshim_record record = fixture_fault(base_record().time, action, value, ORIGIN, 3);
    record.requested = 102400;
    record.family = AF_INET;
    record.port = 80;
    record.result_flags = RECVSHIM_RESULT_PEER;
    record.socket_type = SOCK_STREAM;
    memcpy(record.address, (uint8_t[]){127, 0, 0, 1}, 4);
    return record;
}

#define IN_RECEIVE " by rule 1 in receive 3 of origin 8c1f03e2a7b0d5e6, from 127.0.0.1:80\n"

Test(injection, reads_as_the_rule_has_it)
{
    static const struct {
        enum recvshim_action action;
        uint64_t value;
        const char *text;
    } rows[] = {
        {RECVSHIM_ACTION_ERROR, ECONNRESET, "error=ECONNRESET"},
        {RECVSHIM_ACTION_EOF, 0, "eof"},
        {RECVSHIM_ACTION_SHORT, 5, "short=5"},
        {RECVSHIM_ACTION_DELAY, 10000000, "delay=10ms"},
        {RECVSHIM_ACTION_INTERRUPT, 2, "interrupt=2"},
        {RECVSHIM_ACTION_TRUNCATE, 512, "truncate=512"},
        {RECVSHIM_ACTION_DROP, 0, "drop"},
        {RECVSHIM_ACTION_CORRUPT, 8, "corrupt=8"},
        {RECVSHIM_ACTION_SCOPE, 4, "scope=4"},
    };
    cr_assert_eq(sizeof rows / sizeof rows[0], RECVSHIM_ACTIONS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = fault(rows[i].action, rows[i].value);
        char expected[256];
        snprintf(expected, sizeof expected, "curl[42] recv(5, 102400)  fault: %s" IN_RECEIVE, rows[i].text);
        expect_text(&record, expected);
    }
    struct recvshim_record record = fault(RECVSHIM_ACTION_SHORT, 5);
    record.flags = MSG_DONTWAIT;
    record.call = RECVSHIM_CALL_RECVFROM;
    record.rule = 512;
    record.result_flags = 0;
    expect_text(&record,
                "curl[42] recvfrom(5, 102400, MSG_DONTWAIT)  fault: short=5 by rule 512 in receive 3 of origin "
                "8c1f03e2a7b0d5e6\n");
}

Test(injection, is_named_by_the_receives_that_it_was_done_to)
{
    struct recvshim_record record = base_record();
    record.injected = 1U << RECVSHIM_ACTION_SHORT;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 1448  injected: short\n");
    record.injected |= 1U << RECVSHIM_ACTION_DELAY | 1U << 15;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 1448  injected: short|delay|unknown\n");
    cr_assert_not_null(strstr(print(&format_json, &record, false),
                              ",\"injected\":true,\"first\":null,\"local_address\":null,\"socket\":null,\"tcp\":null,"
                              "\"signals\":null,\"signals_certain\":null,\"passed\":null,"
                              "\"faults\":[\"short\",\"delay\",\"unknown\"],\"fault\":null}\n"));
    cr_assert_not_null(strstr(print(&format_csv, &record, false), ",false,true,,,,,,,,,,,short|delay|unknown,,,,,\n"));
    cr_assert_not_null(
        strstr(print(&format_chrome, &record, false), ",\"faults\":[\"short\",\"delay\",\"unknown\"]}}"));
    record.injected = 0;
    cr_assert_null(strstr(print(&format_chrome, &record, false), "fault"));
}

Test(injection, json_tells_all_that_repeats_it)
{
    struct recvshim_record record = fault(RECVSHIM_ACTION_ERROR, ECONNRESET);
    record.local_port = 5555;
    cr_assert_str_eq(print(&format_json, &record, false), JSON_START
                     "\"pid\":42,\"tid\":42,\"comm\":\"curl\",\"event\":\"fault\",\"call\":\"recv\",\"fd\":5,"
                     "\"connection\":7,\"requested\":102400,\"size\":null,\"result\":null,\"flags\":[],"
                     "\"error\":\"ECONNRESET\",\"retries\":0,\"duration_ns\":null,\"peer\":{\"family\":\"inet\","
                     "\"address\":\"127.0.0.1\",\"port\":80,\"scope_id\":0},\"local_port\":5555,\"cause\":null,"
                     "\"normalised\":false,\"injected\":true,\"first\":null,\"local_address\":null,"
                     "\"socket\":\"stream\",\"tcp\":null,\"signals\":null,\"signals_certain\":null,\"passed\":null,"
                     "\"faults\":[\"error\"],\"fault\":{\"rule\":1,\"action\":\"error\",\"value\":104,\"ordinal\":3,"
                     "\"origin\":\"8c1f03e2a7b0d5e6\",\"draw\":null}}\n");
    record = fault(RECVSHIM_ACTION_CORRUPT, 8);
    record.injection.draw = 0xab;
    cr_assert_not_null(strstr(print(&format_json, &record, false),
                              "\"fault\":{\"rule\":1,\"action\":\"corrupt\",\"value\":8,\"ordinal\":3,"
                              "\"origin\":\"8c1f03e2a7b0d5e6\",\"draw\":\"ab\"}}\n"));
    record = fault(RECVSHIM_ACTION_EOF, 0);
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"action\":\"eof\",\"value\":null,"));
}

Test(injection, csv_and_chrome_tell_the_same)
{
    struct recvshim_record record = fault(RECVSHIM_ACTION_CORRUPT, 8);
    record.injection.draw = 0xab;
    const char *text = print(&format_csv, &record, false);
    cr_assert_str_eq(strchr(text, '\n') + 1,
                     "2001-09-09T01:46:41.623456789Z,42,42,curl,fault,recv,5,7,102400,,,,,0,,inet,127.0.0.1,80,0,,,"
                     "false,true,,,stream,,,,,,,,corrupt,1,8,3,8c1f03e2a7b0d5e6,ab\n");
    text = print(&format_chrome, &record, false);
    cr_assert_not_null(strstr(text,
                              "{\"name\":\"fault\",\"cat\":\"fault\",\"ph\":\"i\",\"s\":\"t\",\"ts\":1623456.789,"
                              "\"pid\":42,\"tid\":42,\"args\":{\"result\":null,\"fd\":5,\"connection\":7,"
                              "\"call\":\"recv\",\"requested\":102400,\"flags\":[],\"peer\":\"127.0.0.1\","
                              "\"port\":80,\"fault\":{\"rule\":1,\"action\":\"corrupt\",\"value\":8,\"ordinal\":3,"
                              "\"origin\":\"8c1f03e2a7b0d5e6\",\"draw\":\"ab\"}}},\n"),
                       "%s", text);
    record = fault(RECVSHIM_ACTION_DROP, 0);
    text = print(&format_csv, &record, false);
    cr_assert_not_null(strstr(text, ",drop,1,,3,8c1f03e2a7b0d5e6,\n"), "%s", text);
}

/* What other events have where a fault has its own. */
Test(injection, means_nothing_by_what_is_not_its_own)
{
    struct recvshim_record record = fault(RECVSHIM_ACTION_SHORT, 5), plain = record;
    record.result_flags = UINT16_MAX;
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char expected[1 << 12];
        snprintf(expected, sizeof expected, "%s", print(formats[i], &plain, false));
        cr_assert_str_eq(print(formats[i], &record, false), expected);
    }
}

Test(injection, hostile_values_are_numbers)
{
    struct recvshim_record record = fault(RECVSHIM_ACTION_SHORT, UINT64_MAX);
    expect_text(&record, "curl[42] recv(5, 102400)  fault: short=18446744073709551615" IN_RECEIVE);
    record.injected = 0;
    expect_text(&record, "curl[42] recv(5, 102400)  fault: unknown=18446744073709551615" IN_RECEIVE);
    record.injected = 1U << RECVSHIM_ACTIONS;
    expect_text(&record, "curl[42] recv(5, 102400)  fault: unknown=18446744073709551615" IN_RECEIVE);
    record.injected = 1U << RECVSHIM_ACTION_SHORT | 1U << RECVSHIM_ACTION_DELAY;
    expect_text(&record, "curl[42] recv(5, 102400)  fault: unknown=18446744073709551615" IN_RECEIVE);
    record.injected = UINT16_MAX;
    cr_assert_not_null(strstr(print(&format_json, &record, false),
                              "\"action\":\"unknown\",\"value\":18446744073709551615,\"ordinal\":3,"));
    record = fault(RECVSHIM_ACTION_SHORT, 5);
    record.call = RECVSHIM_CALL_NONE;
    expect_text(&record, "curl[42] fault(5)  fault: short=5" IN_RECEIVE);
    record.call = 88;
    expect_text(&record, "curl[42] unknown(5, 102400)  fault: short=5" IN_RECEIVE);
}

static struct injection injected(enum recvshim_action action, uint64_t value)
{
    struct recvshim_record record = fault(action, value);
    record.injection.draw = 77;
    return injection_of(&record);
}

Test(injection, has_a_rule_that_does_it_again)
{
    struct recvshim_rule rule;
    struct injection injection = injected(RECVSHIM_ACTION_CORRUPT, 8);
    char text[FAULT_RULE_TEXT_MAX];
    cr_assert(injection_rule(&injection, &rule));
    fault_rule_text(&rule, text);
    cr_assert_str_eq(text, "*:corrupt=8:when=3:per=connection:origin=8c1f03e2a7b0d5e6:draw=4d");
    injection = injected(RECVSHIM_ACTION_SHORT, 5);
    cr_assert(injection_rule(&injection, &rule));
    cr_assert_eq(rule.draw, 0);
}

Test(injection, has_no_rule_where_it_makes_no_sense)
{
    struct recvshim_rule rule;
    struct injection injection = injected(RECVSHIM_ACTION_SHORT, 5);
    injection.ordinal = 0;
    cr_assert_not(injection_rule(&injection, &rule));
    injection = injected(RECVSHIM_ACTION_SHORT, 5);
    injection.origin = 0;
    cr_assert_not(injection_rule(&injection, &rule), "that would be every connection");
    injection = injected(RECVSHIM_ACTION_CORRUPT, 5);
    injection.draw = 0;
    cr_assert_not(injection_rule(&injection, &rule), "that would be drawn anew");
    injection = injected(RECVSHIM_ACTION_SHORT, 0);
    cr_assert_not(injection_rule(&injection, &rule));
    injection = injected(RECVSHIM_ACTIONS, 5);
    cr_assert_not(injection_rule(&injection, &rule));
}
