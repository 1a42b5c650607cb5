/* Any bytes as a fault rule: which are valid, and that those that are have a text that says the same. */
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct fault_rules rules;
static char problem[FAULT_PROBLEM_MAX];

static struct recvshim_rule parsed(const char *text)
{
    cr_assert(fault_rules_parse(text, &rules, problem), "%s", problem);
    return rules.rules[0];
}

#define INVALID(text, change)                                                                                          \
    do {                                                                                                               \
        struct recvshim_rule rule = parsed(text);                                                                      \
        cr_expect(fault_rule_valid(&rule), text);                                                                      \
        change;                                                                                                        \
        cr_expect_not(fault_rule_valid(&rule), text " with " #change);                                                 \
    } while (0)

Test(fault_valid, invalid)
{
    cr_expect_not(fault_rule_valid(&(struct recvshim_rule){0}), "all zero matches nothing");
    INVALID("*:eof", rule.calls = 0);
    INVALID("*:eof", rule.calls = 1U << RECVSHIM_CALLS);
    INVALID("*:eof", rule.calls = UINT32_MAX - 1);
    INVALID("*:eof", rule.action = RECVSHIM_ACTIONS);
    INVALID("*:eof", rule.action = 255);
    INVALID("*:eof", rule.low = rule.high = 1);
    INVALID("*:eof", rule.per = RECVSHIM_PERS);
    INVALID("*:eof", rule.type = 3);
    INVALID("*:eof", rule.type = 255);
    INVALID("*:eof", rule.type = SOCK_DGRAM);
    INVALID("*:drop", rule.type = SOCK_STREAM);
    INVALID("*:eof", rule.first = 0);
    INVALID("*:eof", rule.first = RECVSHIM_COUNT_MAX + 1);
    INVALID("*:eof", rule.last = UINT64_MAX - 1);
    INVALID("*:eof:when=3..5", rule.last = 2);
    INVALID("*:eof:when=3..5", rule.last = RECVSHIM_COUNT_MAX + 1);
    INVALID("*:eof", rule.step = 0);
    INVALID("*:eof", rule.step = RECVSHIM_COUNT_MAX + 1);
    INVALID("*:eof", rule.after = UINT64_C(1) << 63);
    INVALID("*:eof", rule.times = RECVSHIM_COUNT_MAX + 1);
    INVALID("*:eof", rule.draw = 1);
    INVALID("*:eof", rule.chance = 0);
    INVALID("*:eof", rule.chance = RECVSHIM_CHANCE_ALWAYS + 1);
    INVALID("*:eof", rule.fd = -2);
    INVALID("*:eof", rule.fd = INT32_MIN);
    INVALID("*:eof", rule.reserved = 1);
    INVALID("*:eof", rule.counter = 0);
    INVALID("*:eof", rule.per = RECVSHIM_PER_CONNECTION; rule.times = 1);
    INVALID("*:eof:per=connection:times=1", rule.counter = RECVSHIM_CONNECTION_COUNTERS);
    INVALID("*:eof:per=connection:times=1", rule.counter = RECVSHIM_NO_COUNTER);
    INVALID("*:eof:per=connection:times=1", rule.times = 0);
    INVALID("*:eof", rule.peer_bits = 1);
    INVALID("*:eof", rule.peer[0] = 1);
    INVALID("*:eof", rule.family = AF_UNIX);
    INVALID("*:eof:peer=10.0.0.0/8", rule.family = 0);
    INVALID("*:eof:peer=10.0.0.0/8", rule.peer_bits = 33);
    INVALID("*:eof:peer=10.0.0.0/8", rule.peer_bits = 6);
    INVALID("*:eof:peer=10.0.0.1", rule.peer[4] = 1);
    INVALID("*:eof:peer=10.0.0.0/8", rule.peer[1] = 1);
    INVALID("*:eof:peer=[fe80::]/10", rule.peer[1] = 0xa0);
    INVALID("*:eof:peer=[fe80::]/10", rule.peer_bits = 129);
    INVALID("*:eof:peer=[fe80::]/10", rule.peer_bits = 255);
    INVALID("*:error=EIO", rule.low = 4);
    INVALID("*:error=EIO", rule.low = rule.high = 0);
    INVALID("*:error=EIO", rule.low = rule.high = 4096);
    INVALID("*:short=2..3", rule.low = 4);
    INVALID("*:short=2..3", rule.low = 0);
    INVALID("*:short=2..3", rule.high = 0x7ffff001);
    INVALID("*:delay=1s", rule.low = rule.high = 0);
    INVALID("*:delay=1s", rule.high = UINT64_C(3600000000001));
    INVALID("*:interrupt=1", rule.high = 2);
    INVALID("*:corrupt=1", rule.low = rule.high = 65537);
    INVALID("*:scope=1", rule.low = rule.high = UINT64_C(1) << 32);
    INVALID("*:scope=1", rule.calls = 1U << RECVSHIM_CALL_RECV);
    INVALID("*:scope=1", rule.type = SOCK_STREAM);
}

static bool same_but_for_counter(struct recvshim_rule left, struct recvshim_rule right)
{
    left.counter = right.counter = 0;
    return memcmp(&left, &right, sizeof left) == 0;
}

/* Whatever is valid has a text, and the text has the rule: whichever bit or byte of a rule is changed. */
Test(fault_valid, what_is_valid_can_be_parsed)
{
    static const char *const texts[] = {"*:eof",
                                        "recv:error=EIO:fd=3",
                                        "*:short=2..9:when=3..9+2",
                                        "*:delay=1ms..1s:p=0.5",
                                        "recvfrom:truncate=7:times=2",
                                        "*:corrupt=9:draw=ff:origin=1:type=dgram",
                                        "*:drop:peer=10.0.0.0/8:port=9",
                                        "*:scope=5:peer=[fe80::]/10",
                                        "recv:interrupt=3:per=connection:when=2",
                                        "*:eof:after=1M:per=trace"};
    char text[FAULT_RULE_TEXT_MAX];
    unsigned int valid = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct recvshim_rule whole = parsed(texts[i]);
        for (size_t byte = 0; byte < sizeof whole; byte++) {
            for (unsigned int value = 0; value < 256; value++) {
                struct recvshim_rule rule = whole;
                ((uint8_t *)&rule)[byte] = (uint8_t)value;
                if (!fault_rule_valid(&rule))
                    continue;
                fault_rule_text(&rule, text);
                cr_assert(fault_rules_parse(text, &rules, problem), "%s", problem);
                cr_assert_eq(rules.count, 1, "%s", text);
                cr_assert(same_but_for_counter(rules.rules[0], rule), "%s", text);
                valid++;
            }
        }
    }
    cr_expect_gt(valid, 20000, "%u", valid);
}

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*state >> 33) % below;
}

/* Rules made of good parts in any order: what is parsed is valid, and its text is a fixed point. */
Test(fault_valid, round_trips)
{
    static const char *const heads[] = {"*", "recv", "recvfrom", "recv,recvfrom"};
    static const char *const actions[] = {"error=EPIPE",  "error=4000",     "eof",         "short=1",    "short=2..4K",
                                          "delay=1.001s", "delay=3us..5ms", "interrupt=5", "truncate=0", "drop",
                                          "corrupt=3",    "scope=7"};
    static const char *const options[] = {"when=2",     "when=2..9+3",     "p=0.125", "after=3K",    "times=9",
                                          "per=trace",  "per=connection",  "fd=0",    "type=dgram",  "type=stream",
                                          "peer=[::1]", "peer=10.0.0.0/9", "port=80", "origin=beef", "draw=f00d"};
    uint64_t state = 1;
    unsigned int good = 0;
    for (int i = 0; i < 20000; i++) {
        char text[512], written[FAULT_RULE_TEXT_MAX], again[FAULT_RULE_TEXT_MAX];
        int length = snprintf(text, sizeof text, "%s:%s", heads[draw(&state, 4)], actions[draw(&state, 12)]);
        for (uint32_t parts = draw(&state, 5); parts > 0; parts--)
            length += snprintf(text + length, sizeof text - (size_t)length, ":%s", options[draw(&state, 15)]);
        if (!fault_rules_parse(text, &rules, problem))
            continue;
        good++;
        const struct recvshim_rule rule = rules.rules[0];
        cr_assert(fault_rule_valid(&rule), "%s", text);
        fault_rule_text(&rule, written);
        cr_assert(fault_rules_parse(written, &rules, problem), "%s from %s: %s", written, text, problem);
        cr_assert_arr_eq(&rules.rules[0], &rule, sizeof rule, "%s from %s", written, text);
        fault_rule_text(&rules.rules[0], again);
        cr_assert_str_eq(again, written);
    }
    cr_expect_gt(good, 10000, "%u", good);
}

/* The longest of all texts is not cut. */
Test(fault_valid, longest_text)
{
    struct recvshim_rule rule = parsed("recv,recvfrom:corrupt=65536:when=1099511627773..1099511627774+1099511627775:"
                                       "p=0.123456789:after=1099511627775:times=1099511627775:per=connection:"
                                       "fd=2147483647:type=stream:peer=[1111:2222:3333:4444:5555:6666:7777:8888]/127:"
                                       "port=65535:origin=ffffffffffffffff:draw=ffffffffffffffff");
    char text[FAULT_RULE_TEXT_MAX];
    cr_expect_lt(fault_rule_text(&rule, text), FAULT_RULE_TEXT_MAX - 100, "%s", text);
    cr_expect(same_but_for_counter(parsed(text), rule));
}
