#include "trace/fault_rules.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct fault_rules rules;
static char problem[FAULT_PROBLEM_MAX];

static const struct recvshim_rule unset = {
    .first = 1, .last = UINT64_MAX, .step = 1, .chance = RECVSHIM_CHANCE_ALWAYS, .fd = -1, .counter = UINT16_MAX};

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

/* Refused, with the position that is named and a phrase that the problem has. */
static void expect_refused(const char *text, int position, const char *phrase)
{
    char at[32];
    memset(problem, 0xaa, sizeof problem);
    bool good = fault_rules_parse(text, &rules, problem);
    cr_expect_not(good, "%s", text);
    if (good)
        return;
    cr_assert_not_null(memchr(problem, '\0', sizeof problem), "%s", text);
    snprintf(at, sizeof at, " at character %d: ", position);
    cr_expect(position == 0 || strstr(problem, at) != NULL, "not %d in %s", position, problem);
    cr_expect_not_null(strstr(problem, phrase), "no \"%s\" in: %s", phrase, problem);
    for (const char *character = problem; *character != '\0'; character++)
        cr_expect(*character >= ' ' && *character <= '~', "%s", problem);
}

Test(fault_rules, refused)
{
    static const struct {
        const char *text;
        int position;
        const char *phrase;
    } rows[] = {
        /* calls */
        {"foo:eof", 1, "'foo' is no call; expected * or a list of recv, recvfrom"},
        {"recv,foo:eof", 6, "'foo' is no call"},
        {"recv,:eof", 6, "there is nothing; expected * or"},
        {",recv:eof", 1, "there is nothing; expected * or"},
        {":eof", 1, "there is nothing; expected * or"},
        {"*,recv:eof", 1, "'*' is no call"},
        {"recv, recvfrom:eof", 6, "' recvfrom' is no call"},
        {"RECV:eof", 1, "'RECV' is no call"},
        {"*:eof;#", 1, "'#' is no call"},
        /* actions */
        {"recv:eror=5", 6, "in 'recv:eror=5' at character 6: 'eror' is no action; expected error=NAME, eof, "},
        {"recv", 5,
         "there is nothing; expected error=NAME, eof, short=N[..M], delay=TIME[..TIME], interrupt=N, "
         "truncate=N, drop, corrupt=N, scope=N"},
        {"recv:", 6, "there is nothing; expected error"},
        {"recv::eof", 6, "there is nothing; expected error"},
        {"recv:=5", 6, "there is nothing; expected error"},
        {"recv:eof ; recv:eo", 6, "in 'recv:eo' at character 6: 'eo' is no action"},
        {"*:error", 8, "there is nothing; expected an errno's name"},
        {"*:error=", 9, "there is nothing; expected an errno's name"},
        {"*:error=ENOPE", 9, "'ENOPE' is no value of error; expected an errno's name such as ECONNRESET"},
        {"*:error=0", 9, "from 1 to 4095"},
        {"*:error=4096", 9, "'4096' is no value"},
        {"*:error=18446744073709551621", 9, "'18446744073709551621' is no value"},
        {"*:error=EIO..EPIPE", 9, "'EIO..EPIPE' is no value"},
        {"*:eof=1", 7, "'1' is no value of eof; expected no value"},
        {"*:eof=", 7, "there is nothing; expected no value"},
        {"*:drop=1", 8, "'1' is no value of drop"},
        {"*:short=0", 9, "'0' is no value of short; expected N or N..M from 1"},
        {"*:short=2147479553", 9, "up to 2147479552"},
        {"*:short=2..1", 9, "'2..1' is no value of short"},
        {"*:short=2..", 12, "there is nothing"},
        {"*:short=..2", 9, "there is nothing"},
        {"*:short=1...2", 12, "'.2' is no value"},
        {"*:short=1-2", 9, "'1-2' is no value"},
        {"*:short=1..2..3", 12, "'2..3' is no value"},
        {"*:short=1k", 9, "'1k' is no value"},
        {"*:short=99999999999G", 9, "is no value"},
        {"*:delay=1", 9, "'1' is no value of delay; expected a time such as 10ms"},
        {"*:delay=1m", 9, "'1m' is no value"},
        {"*:delay=ms", 9, "'ms' is no value"},
        {"*:delay=.5ms", 9, "'.5ms' is no value"},
        {"*:delay=1.ms", 9, "'1.ms' is no value"},
        {"*:delay=1.2.3ms", 9, "'1.2.3ms' is no value"},
        {"*:delay=1ms..0.5ms", 9, "'1ms..0.5ms' is no value"},
        {"*:delay=1ms..2", 14, "'2' is no value"},
        {"*:delay=0.1ns", 9, "'0.1ns' is no value"},
        {"*:delay=1.0000000001s", 9, "is no value"},
        {"*:delay=3600.000000001s", 9, "up to an hour"},
        {"*:delay=18446744073.709551617s", 9, "up to an hour"},
        {"*:delay=-1s", 9, "'-1s' is no value"},
        {"*:delay=0s", 3, "'delay=0s' delays nothing; expected a time above 0"},
        {"*:delay=0us..0s", 3, "delays nothing"},
        {"*:interrupt=0", 13, "a number from 1 to 1000000"},
        {"*:interrupt=1000001", 13, "a number from 1 to 1000000"},
        {"*:interrupt=1..2", 13, "'1..2' is no value"},
        {"*:truncate=-1", 12, "'-1' is no value of truncate; expected N from 0"},
        {"*:corrupt=0", 11, "a number of bits from 1 to 65536"},
        {"*:corrupt=65537", 11, "a number of bits from 1 to 65536"},
        {"*:scope=4294967296", 9, "a number from 0 to 4294967295"},
        {"*:scope=eth0", 9, "'eth0' is no value of scope"},
        /* options */
        {"*:eof:", 7,
         "there is nothing; expected when=FIRST[..LAST][+[STEP]], p=CHANCE, after=BYTES, times=N, "
         "per=process|connection|trace, fd=N, type=stream|dgram, peer=ADDRESS[/BITS], port=N, "
         "origin=HEX, draw=HEX"},
        {"*:eof:fd=1:", 12, "there is nothing; expected when"},
        {"*:eof:foo=1", 7, "'foo' is no option"},
        {"*:eof:whe=1", 7, "'whe' is no option"},
        {"*:eof:=1", 7, "there is nothing"},
        {"*:eof:fd=1:fd=2", 12, "'fd=2' stands here a second time; expected each option once"},
        {"*:eof:p=1:when=1:p=1", 18, "'p=1' stands here a second time"},
        {"*:eof:when", 11, "there is nothing; expected FIRST, FIRST+,"},
        {"*:eof:p=0", 9, "'0' is no value of p; expected a decimal above 0 and up to 1"},
        {"*:eof:p=0.0000000001", 9, "'0.0000000001' is no value"},
        {"*:eof:p=0.0000000019", 9, "'0.0000000019' is no value"},
        {"*:eof:p=1.000000001", 9, "'1.000000001' is no value"},
        {"*:eof:p=2", 9, "'2' is no value"},
        {"*:eof:p=.5", 9, "'.5' is no value"},
        {"*:eof:p=1e-3", 9, "'1e-3' is no value"},
        {"*:eof:p=0,5", 9, "'0,5' is no value"},
        {"*:eof:p=50%", 9, "'50%' is no value"},
        {"*:eof:p=99999999999999999999", 9, "is no value"},
        {"*:eof:after=1024G", 13, "is no value of after"},
        {"*:eof:after=9223372036854775808", 13, "is no value of after"},
        {"*:eof:after=8G1", 13, "'8G1' is no value of after; expected a number up to"},
        {"*:eof:times=0", 13, "'0' is no value of times; expected a number from 1 to 1099511627775"},
        {"*:eof:times=1099511627776", 13, "is no value of times"},
        {"*:eof:per=thread", 11, "'thread' is no value of per; expected process, connection or trace"},
        {"*:eof:fd=-1", 10, "'-1' is no value of fd; expected a descriptor"},
        {"*:eof:fd=2147483648", 10, "is no value of fd"},
        {"*:eof:type=raw", 12, "'raw' is no value of type; expected stream or dgram"},
        {"*:eof:port=0", 12, "'0' is no value of port; expected the peer's port"},
        {"*:eof:port=65536", 12, "'65536' is no value of port"},
        {"*:eof:origin=0", 14, "'0' is no value of origin; expected 1 to 16 hex"},
        {"*:eof:origin=0x1", 14, "'0x1' is no value"},
        {"*:eof:origin=00000000000000001", 14, "is no value"},
        {"*:eof:origin=g", 14, "'g' is no value"},
        {"*:corrupt=1:draw=", 18, "there is nothing; expected 1 to 16 hex"},
        {"*:corrupt=1:draw=0", 18, "'0' is no value of draw"},
        {"*:eof:peer=", 12, "there is nothing; expected an address such as 10.0.0.1 or [fe80::1]"},
        {"*:eof:peer=localhost", 12, "'localhost' is no value of peer"},
        {"*:eof:peer=10.0.0", 12, "'10.0.0' is no value"},
        {"*:eof:peer=10.0.0.1/33", 12, "'10.0.0.1/33' is no value"},
        {"*:eof:peer=10.0.0.1/", 12, "'10.0.0.1/' is no value"},
        {"*:eof:peer=10.0.0.1/8x", 12, "'10.0.0.1/8x' is no value"},
        {"*:eof:peer=fe80::1", 12, "'fe80' is no value of peer"},
        {"*:eof:peer=[fe80::1", 12, "'[fe80::1' is no value"},
        {"*:eof:peer=[fe80::1]x", 12, "'[fe80::1]x' is no value"},
        {"*:eof:peer=[fe80::1/64]", 12, "'[fe80::1/64]' is no value"},
        {"*:eof:peer=[fe80::1]/129", 12, "'[fe80::1]/129' is no value"},
        {"*:eof:peer=[fe80::1%eth0]", 12, "'[fe80::1%eth0]' is no value"},
        {"*:eof:peer=[fe80::1%2]", 12, "IPv6 in brackets and without a zone"},
        {"*:eof:peer=[10.0.0.1]", 12, "'[10.0.0.1]' is no value"},
        {"*:eof:peer=[[fe80::1]]", 12, "is no value"},
        {"*:eof:peer=[]", 12, "'[]' is no value"},
        {"*:eof:peer=[1111:2222:3333:4444:5555:6666:123.123.123.1234]", 12, "is no value"},
        /* contradictions */
        {"*:eof:type=dgram", 7, "'type=dgram' can never meet this action; expected type=stream with eof and short"},
        {"*:short=1:p=0.5:type=dgram", 17, "'type=dgram' can never meet this action"},
        {"*:truncate=1:type=stream", 14, "'type=stream' can never meet this action"},
        {"*:drop:type=stream", 8, "'type=stream' can never meet this action"},
        {"*:scope=1:type=stream", 11, "'type=stream' can never meet this action"},
        {"recv:scope=1", 6, "'scope=1' can never act on recv, read and readv, which give no"},
        {"*:eof:draw=1", 7, "'draw=1' can never meet this action; expected it with corrupt alone"},
        {"*:error=EIO:draw=1", 13, "'draw=1' can never meet"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_refused(rows[i].text, rows[i].position, rows[i].phrase);
}

/* All that strace refuses, and a sign and a blank that its strtoul lets pass. */
Test(fault_rules, refused_when)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "0+",
                                      "3..",
                                      "..5",
                                      "..",
                                      "5..3",
                                      "3..+2",
                                      "3+0",
                                      "3..9+0",
                                      "3++",
                                      "3+2+1",
                                      "3...9",
                                      "3..9..11",
                                      "3-9",
                                      "+2",
                                      " 3",
                                      "-1",
                                      "3x",
                                      "3+x",
                                      "1099511627776",
                                      "1..1099511627776",
                                      "1+1099511627776",
                                      "18446744073709551617",
                                      "1..18446744073709551615"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "*:eof:when=%s", bad[i]);
        expect_refused(text, 12, "expected FIRST, FIRST+, FIRST+STEP, FIRST..LAST or FIRST..LAST+STEP, each 1 to");
    }
}

Test(fault_rules, what_is_hostile_in_a_problem_is_masked_and_cut)
{
    expect_refused("re\033[31mcv\x80\x7f\t.:eof", 1,
                   "in 're?[31mcv??\?.:eof' at character 1: 're?[31mcv??\?.:eof' is no call");
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    expect_refused(text, 1, "xxxxxxxxxx...' at character 1: 'xxxx");
    cr_expect_lt(strlen(problem), 300, "%s", problem);
    memcpy(text, "*:eof:", 6);
    expect_refused(text, 7, "draw=HEX");
    memcpy(text, "recv:error=5:peer=", 18);
    expect_refused(text, 19, "10.0.0.0/8");
    memcpy(text, "*:eof;*:error=5:type=stream;", 28);
    expect_refused(text, 1, "xxx...' is no call");
    text[0] = '#';
    text[500] = '\n';
    expect_refused(text, 1, "xxx...' is no call");
}

/* So many rules that none stands in the way of another. */
static const char *many_rules(unsigned int count, const char *format)
{
    static char text[65536];
    size_t length = 0;
    for (unsigned int i = 1; i <= count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, format, i);
        cr_assert_lt(length, sizeof text);
    }
    return text;
}

Test(fault_rules, number_of_rules)
{
    cr_expect(fault_rules_parse(many_rules(512, "*:eof:when=%u;"), &rules, problem), "%s", problem);
    cr_expect_eq(rules.count, RECVSHIM_MAX_RULES);
    cr_expect_eq(rules.rules[511].first, 512);
    expect_refused(many_rules(513, "*:eof:when=%u;"), 1, "'*:eof:when=513' is one rule too many; expected at most 512");
}

/* What `show --format faults` writes needs no counter, however much there is of it. */
Test(fault_rules, counters)
{
    cr_assert(fault_rules_parse(many_rules(512, "*:eof:when=7:per=connection:origin=%x\n"), &rules, problem), "%s",
              problem);
    for (uint32_t i = 0; i < rules.count; i++)
        cr_assert_eq(rules.rules[i].counter, RECVSHIM_NO_COUNTER);
    static const struct {
        const char *text;
        bool counts_every_call, needs_counter;
    } rows[] = {{"*:eof:per=connection:when=3", true, false},
                {"recv,recvfrom,recvmsg,recvmmsg,read,readv:eof:per=connection:when=3", true, false},
                {"recv,recvfrom:eof:per=connection:when=3", false, true},
                {"*:eof:per=connection:when=3:p=0.5:origin=3", true, false},
                {"*:eof:per=connection:when=3:times=1", true, true},
                {"*:eof:per=connection:times=1", true, true},
                {"*:eof:when=3:times=1", true, false},
                {"*:eof:per=trace:when=3:times=1", true, false},
                {"recv:eof:per=connection", false, false},
                {"recv:eof:per=connection:when=1+", false, false},
                {"recv:eof:per=connection:when=3", false, true},
                {"recv:eof:when=3", false, false},
                {"*:eof:per=connection:when=3:type=stream", false, true},
                {"*:eof:per=connection:when=3:fd=0", false, true},
                {"*:eof:per=connection:when=3:peer=10.0.0.0/0", false, true},
                {"*:eof:per=connection:when=3:port=1", false, true},
                {"*:eof:per=connection:when=3:after=1", false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert(fault_rules_parse(rows[i].text, &rules, problem), "%s", problem);
        cr_expect_eq(fault_rule_counts_every_call(&rules.rules[0]), rows[i].counts_every_call, "%s", rows[i].text);
        cr_expect_eq(rules.rules[0].counter, rows[i].needs_counter ? 0 : RECVSHIM_NO_COUNTER, "%s", rows[i].text);
    }
    cr_assert(fault_rules_parse(many_rules(8, "*:delay=%uns:times=1:per=connection;*:eof:when=%1$u;"), &rules, problem),
              "%s", problem);
    for (uint16_t i = 0; i < rules.count; i++)
        cr_expect_eq(rules.rules[i].counter, i % 2 == 0 ? i / 2 : RECVSHIM_NO_COUNTER);
    expect_refused(
        many_rules(9, "*:delay=%uns:times=1:per=connection;"), 21,
        "'per=connection' is needed by more rules than a connection can count for; expected at most 8 of them");
}

/* ---- any bytes ---- */

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

Test(fault_rules, invalid)
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
Test(fault_rules, what_is_valid_can_be_parsed)
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
Test(fault_rules, round_trips)
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
Test(fault_rules, longest_text)
{
    struct recvshim_rule rule = parsed("recv,recvfrom:corrupt=65536:when=1099511627773..1099511627774+1099511627775:"
                                       "p=0.123456789:after=1099511627775:times=1099511627775:per=connection:"
                                       "fd=2147483647:type=stream:peer=[1111:2222:3333:4444:5555:6666:7777:8888]/127:"
                                       "port=65535:origin=ffffffffffffffff:draw=ffffffffffffffff");
    char text[FAULT_RULE_TEXT_MAX];
    cr_expect_lt(fault_rule_text(&rule, text), FAULT_RULE_TEXT_MAX - 100, "%s", text);
    cr_expect(same_but_for_counter(parsed(text), rule));
}
