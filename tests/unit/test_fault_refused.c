/* Texts that are no fault rules: what the problem says, and where it is. And how many rules and counters there are. */
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct fault_rules rules;
static char problem[FAULT_PROBLEM_MAX];

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

Test(fault_refused, texts)
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
Test(fault_refused, when)
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

Test(fault_refused, what_is_hostile_in_a_problem_is_masked_and_cut)
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

Test(fault_refused, number_of_rules)
{
    cr_expect(fault_rules_parse(many_rules(512, "*:eof:when=%u;"), &rules, problem), "%s", problem);
    cr_expect_eq(rules.count, RECVSHIM_MAX_RULES);
    cr_expect_eq(rules.rules[511].first, 512);
    expect_refused(many_rules(513, "*:eof:when=%u;"), 1, "'*:eof:when=513' is one rule too many; expected at most 512");
}

/* What `show --format faults` writes needs no counter, however much there is of it. */
Test(fault_refused, counters)
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
