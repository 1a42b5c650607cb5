/* What fault rules say: the fields that a text comes to, and the text that they are written as again. */
#include "tests/blank_rule.h"
#include "trace/fault_rules.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct fault_rules rules;
static char problem[FAULT_PROBLEM_MAX];

static const struct recvshim_rule unset = {NO_OPTIONS};

/* Both are one number a line, so that a difference shows where it is. */
static void expect_same(const char *text, const struct recvshim_rule *got, const struct recvshim_rule *expected)
{
#define SAME(field)                                                                                                    \
    cr_expect_eq(got->field, expected->field, "%s: " #field " is %llu, not %llu", text,                                \
                 (unsigned long long)got->field, (unsigned long long)expected->field)
    SAME(calls);
    SAME(action);
    SAME(per);
    SAME(type);
    SAME(peer_bits);
    SAME(low);
    SAME(high);
    SAME(first);
    SAME(last);
    SAME(step);
    SAME(after);
    SAME(times);
    SAME(origin);
    SAME(draw);
    SAME(chance);
    SAME(fd);
    SAME(family);
    SAME(port);
    SAME(counter);
    SAME(reserved);
#undef SAME
    cr_expect_arr_eq(got->peer, expected->peer, sizeof got->peer, "%s: peer", text);
    cr_expect_arr_eq(got, expected, sizeof *got, "%s", text);
}

/* Good, valid, and the same rule again from its own text, which is `canonical`. */
static void expect_accepted(const char *text, const struct recvshim_rule *expected, const char *canonical)
{
    char written[FAULT_RULE_TEXT_MAX];
    memset(&rules, 0xaa, sizeof rules);
    if (!fault_rules_parse(text, &rules, problem)) {
        cr_expect_fail("%s", problem);
        return;
    }
    cr_expect_eq(rules.count, 1, "%s", text);
    expect_same(text, &rules.rules[0], expected);
    cr_expect(fault_rule_valid(&rules.rules[0]), "%s", text);
    cr_expect_eq(fault_rule_text(&rules.rules[0], written), strlen(written), "%s", text);
    cr_expect_str_eq(written, canonical);
    cr_expect(fault_rules_parse(written, &rules, problem), "%s", problem);
    expect_same(written, &rules.rules[0], expected);
}

/* `set` are assignments to the fields that are not as in `unset`. */
#define ACCEPT_AS(text, canonical, ...)                                                                                \
    do {                                                                                                               \
        struct recvshim_rule rule = unset;                                                                             \
        __VA_ARGS__;                                                                                                   \
        expect_accepted(text, &rule, canonical);                                                                       \
    } while (0)
#define ACCEPT(text, ...) ACCEPT_AS(text, text, __VA_ARGS__)

#define ANY                rule.calls = RECVSHIM_RULE_EVERY_CALL
#define ACT(name)          rule.action = RECVSHIM_ACTION_##name
#define VALUE(low_, high_) rule.low = (low_), rule.high = (high_)
#define BOTH(value)        VALUE(value, value)

Test(fault_rules, calls)
{
    ACCEPT("recv:eof", rule.calls = 1U << RECVSHIM_CALL_RECV, ACT(EOF));
    ACCEPT("recvfrom:eof", rule.calls = 1U << RECVSHIM_CALL_RECVFROM, ACT(EOF));
    ACCEPT("recv,recvfrom:eof", rule.calls = 3, ACT(EOF));
    ACCEPT_AS("recvfrom,recv,recvfrom:eof", "recv,recvfrom:eof", rule.calls = 3, ACT(EOF));
    ACCEPT("*:eof", ANY, ACT(EOF));
}

Test(fault_rules, actions)
{
    ACCEPT("*:error=ECONNRESET", ANY, ACT(ERROR), BOTH(ECONNRESET));
    ACCEPT_AS("*:error=EWOULDBLOCK", "*:error=EAGAIN", ANY, ACT(ERROR), BOTH(EAGAIN));
    ACCEPT_AS("*:error=5", "*:error=EIO", ANY, ACT(ERROR), BOTH(EIO));
    ACCEPT("*:error=4095", ANY, ACT(ERROR), BOTH(4095));
    ACCEPT("*:short=1", ANY, ACT(SHORT), BOTH(1));
    ACCEPT("*:short=1..2147479552", ANY, ACT(SHORT), VALUE(1, 0x7ffff000));
    ACCEPT_AS("*:short=3..3", "*:short=3", ANY, ACT(SHORT), BOTH(3));
    ACCEPT_AS("*:short=4K..1M", "*:short=4096..1048576", ANY, ACT(SHORT), VALUE(4096, 1 << 20));
    ACCEPT("*:interrupt=1", ANY, ACT(INTERRUPT), BOTH(1));
    ACCEPT("*:interrupt=1000000", ANY, ACT(INTERRUPT), BOTH(1000000));
    ACCEPT("*:truncate=0", ANY, ACT(TRUNCATE), BOTH(0));
    ACCEPT_AS("*:truncate=1G", "*:truncate=1073741824", ANY, ACT(TRUNCATE), BOTH(1 << 30));
    ACCEPT("*:drop", ANY, ACT(DROP));
    ACCEPT("*:corrupt=1", ANY, ACT(CORRUPT), BOTH(1));
    ACCEPT("*:corrupt=65536", ANY, ACT(CORRUPT), BOTH(65536));
    ACCEPT("*:scope=0", ANY, ACT(SCOPE), BOTH(0));
    ACCEPT("*:scope=4294967295", ANY, ACT(SCOPE), BOTH(UINT32_MAX));
    ACCEPT("recv,recvfrom:scope=2", rule.calls = 3, ACT(SCOPE), BOTH(2));
}

Test(fault_rules, times)
{
    ACCEPT("*:delay=1ns", ANY, ACT(DELAY), BOTH(1));
    ACCEPT("*:delay=10us", ANY, ACT(DELAY), BOTH(10000));
    ACCEPT("*:delay=1s", ANY, ACT(DELAY), BOTH(1000000000));
    ACCEPT("*:delay=3600s", ANY, ACT(DELAY), BOTH(UINT64_C(3600000000000)));
    ACCEPT("*:delay=0s..10ms", ANY, ACT(DELAY), VALUE(0, 10000000));
    ACCEPT_AS("*:delay=1.5ms", "*:delay=1500us", ANY, ACT(DELAY), BOTH(1500000));
    ACCEPT_AS("*:delay=0.000000001s", "*:delay=1ns", ANY, ACT(DELAY), BOTH(1));
    ACCEPT_AS("*:delay=1.500000000000s", "*:delay=1500ms", ANY, ACT(DELAY), BOTH(1500000000));
    ACCEPT_AS("*:delay=1.000ns", "*:delay=1ns", ANY, ACT(DELAY), BOTH(1));
    ACCEPT_AS("*:delay=999us..1000.001us", "*:delay=999us..1000001ns", ANY, ACT(DELAY), VALUE(999000, 1000001));
    ACCEPT_AS("*:delay=0.5us..0.25s", "*:delay=500ns..250ms", ANY, ACT(DELAY), VALUE(500, 250000000));
}

/* As strace 6.1 reads them: which calls each of them hit was tried with it. */
Test(fault_rules, when)
{
    static const struct {
        const char *text;
        uint64_t first, last, step;
        const char *canonical; /* NULL: the text */
    } rows[] = {{"3", 3, 3, 1, NULL},
                {"3+", 3, UINT64_MAX, 1, NULL},
                {"3+4", 3, UINT64_MAX, 4, NULL},
                {"3..9", 3, 9, 1, NULL},
                {"3..9+", 3, 9, 1, "3..9"},
                {"3..9+2", 3, 9, 2, NULL},
                {"3..10+2", 3, 10, 2, NULL},
                {"3..3", 3, 3, 1, "3"},
                {"3..3+2", 3, 3, 2, NULL},
                {"1..1099511627775", 1, RECVSHIM_COUNT_MAX, 1, NULL},
                {"1099511627775+1099511627775", RECVSHIM_COUNT_MAX, UINT64_MAX, RECVSHIM_COUNT_MAX, NULL},
                {"01", 1, 1, 1, "1"},
                {"2+01", 2, UINT64_MAX, 1, "2+"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64], canonical[64];
        snprintf(text, sizeof text, "*:eof:when=%s", rows[i].text);
        snprintf(canonical, sizeof canonical, "*:eof:when=%s",
                 rows[i].canonical != NULL ? rows[i].canonical : rows[i].text);
        ACCEPT_AS(text, canonical, ANY, ACT(EOF), rule.first = rows[i].first, rule.last = rows[i].last,
                  rule.step = rows[i].step);
    }
    ACCEPT_AS("*:eof:when=1+", "*:eof", ANY, ACT(EOF));
}

Test(fault_rules, chances)
{
    ACCEPT("*:eof:p=0.01", ANY, ACT(EOF), rule.chance = 10000000);
    ACCEPT("*:eof:p=0.000000001", ANY, ACT(EOF), rule.chance = 1);
    ACCEPT("*:eof:p=0.999999999", ANY, ACT(EOF), rule.chance = 999999999);
    ACCEPT("*:eof:p=0.100000001", ANY, ACT(EOF), rule.chance = 100000001);
    ACCEPT_AS("*:eof:p=0.5000000000", "*:eof:p=0.5", ANY, ACT(EOF), rule.chance = 500000000);
    ACCEPT_AS("*:eof:p=00.50", "*:eof:p=0.5", ANY, ACT(EOF), rule.chance = 500000000);
    ACCEPT_AS("*:eof:p=1", "*:eof", ANY, ACT(EOF));
    ACCEPT_AS("*:eof:p=1.0", "*:eof", ANY, ACT(EOF));
}

Test(fault_rules, numbers)
{
    ACCEPT("*:eof:after=1", ANY, ACT(EOF), rule.after = 1);
    ACCEPT_AS("*:eof:after=0", "*:eof", ANY, ACT(EOF));
    ACCEPT_AS("*:eof:after=4K", "*:eof:after=4096", ANY, ACT(EOF), rule.after = 4096);
    ACCEPT_AS("*:eof:after=1023G", "*:eof:after=1098437885952", ANY, ACT(EOF), rule.after = UINT64_C(1023) << 30);
    ACCEPT("*:eof:after=1099511627775", ANY, ACT(EOF), rule.after = RECVSHIM_COUNT_MAX);
    ACCEPT("*:eof:times=1", ANY, ACT(EOF), rule.times = 1);
    ACCEPT("*:eof:times=1099511627775", ANY, ACT(EOF), rule.times = RECVSHIM_COUNT_MAX);
    ACCEPT("*:eof:fd=0", ANY, ACT(EOF), rule.fd = 0);
    ACCEPT("*:eof:fd=2147483647", ANY, ACT(EOF), rule.fd = INT32_MAX);
    ACCEPT("*:eof:port=1", ANY, ACT(EOF), rule.port = 1);
    ACCEPT("*:eof:port=65535", ANY, ACT(EOF), rule.port = 65535);
    ACCEPT("*:eof:origin=1", ANY, ACT(EOF), rule.origin = 1);
    ACCEPT_AS("*:eof:origin=0123456789ABCDEF", "*:eof:origin=123456789abcdef", ANY, ACT(EOF),
              rule.origin = 0x123456789abcdef);
    ACCEPT("*:corrupt=1:draw=ffffffffffffffff", ANY, ACT(CORRUPT), BOTH(1), rule.draw = UINT64_MAX);
    ACCEPT("*:eof:type=stream", ANY, ACT(EOF), rule.type = SOCK_STREAM);
    ACCEPT("*:drop:type=dgram", ANY, ACT(DROP), rule.type = SOCK_DGRAM);
    ACCEPT_AS("*:eof:per=process", "*:eof", ANY, ACT(EOF));
    ACCEPT("*:eof:per=trace", ANY, ACT(EOF), rule.per = RECVSHIM_PER_TRACE);
    ACCEPT("*:eof:per=connection", ANY, ACT(EOF), rule.per = RECVSHIM_PER_CONNECTION);
}

static void expect_peer(const char *peer, const char *canonical, int family, const char *address, uint8_t bits)
{
    char text[128], written[128];
    snprintf(text, sizeof text, "*:eof:peer=%s:fd=3", peer);
    snprintf(written, sizeof written, "*:eof:fd=3:peer=%s", canonical);
    ACCEPT_AS(text, written, ANY, ACT(EOF), rule.fd = 3, rule.family = (uint16_t)family, rule.peer_bits = bits,
              inet_pton(family, address, rule.peer));
}

Test(fault_rules, peers)
{
    expect_peer("127.0.0.1", "127.0.0.1", AF_INET, "127.0.0.1", 32);
    expect_peer("10.11.12.13/32", "10.11.12.13", AF_INET, "10.11.12.13", 32);
    expect_peer("10.255.12.13/11", "10.224.0.0/11", AF_INET, "10.224.0.0", 11);
    expect_peer("10.11.12.13/0", "0.0.0.0/0", AF_INET, "0.0.0.0", 0);
    expect_peer("[fe80::1]", "[fe80::1]", AF_INET6, "fe80::1", 128);
    expect_peer("[fe80:0:0::1]/64", "[fe80::]/64", AF_INET6, "fe80::", 64);
    expect_peer("[ffff:ffff::]/17", "[ffff:8000::]/17", AF_INET6, "ffff:8000::", 17);
    expect_peer("[::]/0", "[::]/0", AF_INET6, "::", 0);
    expect_peer("[2001:DB8::A]/128", "[2001:db8::a]", AF_INET6, "2001:db8::a", 128);
    expect_peer("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]", AF_INET6, "::ffff:10.0.0.1", 128);
    expect_peer("[1111:2222:3333:4444:5555:6666:7777:8888]/127", "[1111:2222:3333:4444:5555:6666:7777:8888]/127",
                AF_INET6, "1111:2222:3333:4444:5555:6666:7777:8888", 127);
}

Test(fault_rules, all_options_at_once)
{
    ACCEPT("recv:corrupt=8:when=2..9+3:p=0.5:after=10:times=4:per=connection:fd=7:type=dgram:peer=[fe80::]/10:port=53:"
           "origin=a1:draw=b2",
           rule.calls = 1U << RECVSHIM_CALL_RECV, ACT(CORRUPT), BOTH(8), rule.first = 2, rule.last = 9, rule.step = 3,
           rule.chance = 500000000, rule.after = 10, rule.times = 4, rule.per = RECVSHIM_PER_CONNECTION, rule.fd = 7,
           rule.type = SOCK_DGRAM, rule.family = AF_INET6, rule.peer[0] = 0xfe, rule.peer[1] = 0x80,
           rule.peer_bits = 10, rule.port = 53, rule.origin = 0xa1, rule.draw = 0xb2, rule.counter = 0);
}

Test(fault_rules, separators)
{
    static const struct {
        const char *text;
        uint32_t count;
    } rows[] = {{"", 0},
                {" \t\r\n;; ;\n", 0},
                {"# nothing", 0},
                {"  # recv:eof; recv:eof\n#", 0},
                {"*:delay=1s;*:delay=2s", 2},
                {"*:delay=1s\n*:delay=2s\n", 2},
                {" *:delay=1s\t ;; \n \r *:delay=2s \r\n", 2},
                {"# a; b\n*:delay=1s;\n  # c\n;*:delay=2s\n#", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(fault_rules_parse(rows[i].text, &rules, problem), "%s: %s", rows[i].text, problem);
        cr_expect_eq(rules.count, rows[i].count, "%s", rows[i].text);
        for (uint64_t rule = 0; rule < rules.count; rule++)
            cr_expect_eq(rules.rules[rule].low, (rule + 1) * 1000000000, "%s", rows[i].text);
    }
}
