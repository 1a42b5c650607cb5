#include "cli/filter.h"
#include "cli/moment.h"
#include "trace/names.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW (UINT64_C(1800000000) * 1000000000)

static bool accepts(const char *name, const char *value, const struct recvshim_record *record)
{
    struct filter filter;
    filter_init(&filter, NOW);
    cr_assert_null(filter_parse(&filter, name, value), "%s=%s", name, value);
    return filter_accepts_record(&filter, record, NOW);
}

static bool parses(const char *name, const char *value)
{
    struct filter filter;
    filter_init(&filter, NOW);
    return filter_parse(&filter, name, value) == NULL;
}

Test(filter, chooses_by_what_the_record_says)
{
    struct recvshim_record record = {.event = RECVSHIM_EVENT_DISCONNECT,
                                     .call = RECVSHIM_CALL_RECVFROM,
                                     .pid = 42,
                                     .fd = 5,
                                     .connection = UINT64_MAX};
    cr_assert(accepts("event", "receive,disconnect", &record));
    cr_assert_not(accepts("event", "receive", &record));
    cr_assert(accepts("event", "all", &record));
    cr_assert(accepts("call", "recvfrom", &record));
    cr_assert_not(accepts("call", "recv", &record));
    cr_assert(accepts("pid", "1,42", &record));
    cr_assert_not(accepts("pid", "4", &record));
    cr_assert(accepts("fd", "5", &record));
    cr_assert_not(accepts("fd", "6", &record));
    cr_assert(accepts("connection", "18446744073709551615", &record));
    cr_assert_not(accepts("connection", "1", &record));
    cr_assert(accepts("since", "-5m", &record));
    cr_assert_not(accepts("until", "-1ms", &record));
    cr_assert(accepts("until", "@1800000000", &record));
    cr_assert_not(accepts("since", "@1800000000.000000001", &record));
    record.event = 200; /* no event: damaged, or of a later version */
    cr_assert_not(accepts("event", "all", &record));
    cr_assert(accepts("fd", "5", &record));
}

/* Events that are no receives have no call: a list of calls leaves them out. */
Test(filter, calls_are_receives)
{
    struct recvshim_record record = {.event = RECVSHIM_EVENT_ACCEPT, .call = RECVSHIM_CALL_NONE, .fd = 5};
    cr_assert(accepts("fd", "5", &record));
    cr_assert_not(accepts("call", "recv,recvfrom", &record));
    cr_assert_not(accepts("call", "all", &record));
    cr_assert(accepts("event", "connect,accept,close", &record));
    cr_assert(accepts("event", "all", &record));
    cr_assert_not(accepts("event", "start,exit", &record));
}

/* A fault belongs to a receive: all that chooses receives chooses it. */
Test(filter, knows_faults)
{
    struct recvshim_record record = {
        .event = RECVSHIM_EVENT_FAULT, .call = RECVSHIM_CALL_RECV, .fd = 5, .pid = 42, .connection = 7};
    cr_assert(accepts("event", "fault", &record));
    cr_assert(accepts("event", "all", &record));
    cr_assert_not(accepts("event", "receive,error", &record));
    cr_assert(accepts("call", "recv", &record));
    cr_assert_not(accepts("call", "recvfrom", &record));
    cr_assert(accepts("fd", "5", &record));
    cr_assert(accepts("pid", "42", &record));
    cr_assert(accepts("connection", "7", &record));
}

Test(filter, knows_the_connections_asked_for)
{
    struct filter filter;
    struct recvshim_record record = {.connection = 7};
    filter_init(&filter, NOW);
    cr_assert_eq(filter_connection(&filter, &record), 0);
    cr_assert_not(filter_is_one_connection(&filter));
    filter_parse(&filter, "connection", "7");
    cr_assert(filter_is_one_connection(&filter));
    filter_parse(&filter, "connection", "0");
    cr_assert_not(filter_is_one_connection(&filter), "0 is no connection");
    filter_parse(&filter, "connection", "5,7,9,7");
    cr_assert_eq(filter_connection(&filter, &record), 10);
    cr_assert_not(filter_is_one_connection(&filter));
    static const char *const others[][2] = {{"event", "all"}, {"call", "all"},  {"pid", "1"},    {"fd", "1"},
                                            {"peer", "::/0"}, {"since", "-5m"}, {"until", "-5m"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        filter_init(&filter, NOW);
        filter_parse(&filter, "connection", "7");
        filter_parse(&filter, others[i][0], others[i][1]);
        cr_assert_not(filter_is_one_connection(&filter), "%s", others[i][0]);
    }
}

Test(filter, refuses_nonsense)
{
    static const char *const bad[][2] = {
        {"event", ""},
        {"event", "receives"},
        {"event", "receive,"},
        {"call", "send"},
        {"pid", ""},
        {"pid", "-1"},
        {"pid", "4294967296"},
        {"pid", "1,"},
        {"fd", "2147483648"},
        {"fd", "1x"},
        {"connection", "18446744073709551616"},
        {"peer", ""},
        {"peer", "localhost"},
        {"peer", "1.2.3.4/33"},
        {"peer", "1.2.3.4/"},
        {"peer", "1.2.3.4/-1"},
        {"peer", "[::1"},
        {"peer", "[1.2.3.4]"},
        {"peer", "::1/129"},
        {"peer", "::1/9999"},
        {"peer", "fe80::1%eth0"},
        {"peer", "[::1]x"},
        {"since", "yesterday"},
        {"until", ""},
        {"nonsense", "1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(parses(bad[i][0], bad[i][1]), "%s=%s", bad[i][0], bad[i][1]);
    char many[FILTER_NUMBERS_MAX * 2 + 2] = "";
    for (int i = 0; i < FILTER_NUMBERS_MAX; i++)
        strcat(many, i == 0 ? "1" : ",1");
    cr_assert(parses("fd", many));
    strcat(many, ",1");
    cr_assert_not(parses("fd", many));
}

static bool peer_accepted(const char *value, int family, const char *address)
{
    struct filter filter;
    struct event event = {.record = {.family = (uint16_t)family, .result_flags = RECVSHIM_RESULT_PEER}};
    if (family == AF_UNIX) {
        event.address_length = strlen(address);
        memcpy(event.address, address, event.address_length);
    } else {
        cr_assert_eq(inet_pton(family, address, event.record.address), 1);
    }
    filter_init(&filter, NOW);
    cr_assert_null(filter_parse(&filter, "peer", value), "%s", value);
    return filter_accepts_peer(&filter, &event);
}

Test(filter, matches_peers)
{
    static const struct {
        bool accepted;
        const char *value;
        int family;
        const char *address;
    } rows[] = {
        {true, "127.0.0.1", AF_INET, "127.0.0.1"},
        {false, "127.0.0.1", AF_INET, "127.0.0.2"},
        {true, "127.0.0.0/8", AF_INET, "127.9.9.9"},
        {false, "127.0.0.0/9", AF_INET, "127.128.0.0"},
        {true, "0.0.0.0/0", AF_INET, "8.8.8.8"},
        {false, "0.0.0.0/0", AF_INET6, "2001:db8::1"},
        {true, "127.0.0.1", AF_INET6, "::ffff:127.0.0.1"},
        {true, "::ffff:127.0.0.1", AF_INET, "127.0.0.1"},
        {true, "[fe80::1]", AF_INET6, "fe80::1"},
        {true, "fe80::/10", AF_INET6, "febf::1"},
        {false, "fe80::/10", AF_INET6, "fec0::1"},
        {true, "[2001:db8::]/32", AF_INET6, "2001:db8:1::"},
        {true, "::/0", AF_INET6, "1::"},
        {false, "::/0", AF_INET, "1.1.1.1"},
        {true, "/run/a", AF_UNIX, "/run/a"},
        {false, "/run/a", AF_UNIX, "/run/ab"},
        {true, "@name", AF_UNIX, "@name"},
        {false, "127.0.0.1", AF_UNIX, "/run/a"},
        {false, "/run/a", AF_INET, "127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(peer_accepted(rows[i].value, rows[i].family, rows[i].address), rows[i].accepted, "%s %s",
                     rows[i].value, rows[i].address);
    struct filter filter;
    filter_init(&filter, NOW);
    cr_assert_null(filter_parse(&filter, "peer", "::/0"));
    cr_assert_not(filter_accepts_peer(&filter, &(struct event){.record = {.family = AF_INET6}}), "no peer is known");
}

static void use_zone(void)
{
    setenv("TZ", "XXX-02:00", 1); /* two hours east */
    tzset();
}

Test(moment, reads_what_people_write, .init = use_zone)
{
    /* NOW is 2027-01-15 08:00:00 UTC, 10:00:00 here. */
    static const struct {
        const char *text;
        double seconds; /* relative to NOW */
    } rows[] = {
        {"10:00", 0},
        {"10:00:00.25", 0.25},
        {"09:59:59", -1},
        {"2027-01-15T08:00:00Z", 0},
        {"2027-01-15T10:00:00", 0},
        {"2027-01-15 10:00", 0},
        {"2027-01-15", -36000},
        {"2027-01-15T09:30:00+01:30", 0},
        {"2027-01-15T03:00:00.5-0500", 0.5},
        {"@1800000001", 1},
        {"@1800000000.2500000009999", 0.25},
        {"@1799999999.5", -0.5},
        {"-5m", -300},
        {"-30s", -30},
        {"-1.5h", -5400},
        {"-250ms", -0.25},
        {"-2d", -172800},
        {"-999999999d", -1800000000.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t moment;
        cr_assert(moment_parse(rows[i].text, NOW, &moment), "%s", rows[i].text);
        cr_assert_eq((int64_t)(moment - NOW), (int64_t)(rows[i].seconds * 1e9), "%s", rows[i].text);
    }
}

Test(moment, refuses_the_rest)
{
    static const char *const bad[] = {"2026-02-29",
                                      "2026-04-31T00:00",
                                      "",
                                      "1",
                                      "24:00",
                                      "10:60",
                                      "10:0",
                                      "10:00:61",
                                      "10:00x",
                                      "2027-13-01",
                                      "-5",
                                      "-5y",
                                      "-m",
                                      "@",
                                      "@1x",
                                      "@-1",
                                      "10:00.",
                                      "10:00:00.",
                                      "now",
                                      "2027-01-15T",
                                      "2027-01-15T10:00:00+1",
                                      "2027-00-01",
                                      "-",
                                      "1900-01-01",
                                      "@99999999999"};
    uint64_t moment;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(moment_parse(bad[i], NOW, &moment), "%s", bad[i]);
}
