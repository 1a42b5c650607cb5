/* What interrupted a receive and what became of it: from its record, in words, in every format. */
#include "printing.h"
#include "sample.h"
#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static uint64_t set(const char *list)
{
    uint64_t signals = 0;
    cr_assert(signal_names_parse(list, &signals), "%s", list);
    return signals;
}

static struct recvshim_record retried(uint32_t retries, uint16_t flags, const char *signals)
{
    return sample_retried(base_record(), retries, flags, signals);
}

static struct recvshim_record interrupted(uint16_t flags, const char *signals)
{
    return sample_interrupted(base_record(), flags, signals);
}

TestSuite(interruption, .init = use_utc);

Test(interruption, says_after_which_signals_it_was_retried)
{
    static const struct {
        uint32_t retries;
        uint16_t flags;
        const char *signals, *remark;
    } rows[] = {
        {41, EXACT, "ALRM", "retried 41 times after SIGALRM"},
        {1, EXACT, "ALRM,USR1", "retried 1 time after SIGUSR1 and SIGALRM"},
        {2, EXACT, "ALRM,USR1,TERM", "retried 2 times after SIGUSR1, SIGALRM and SIGTERM"},
        {2, EXACT, "", "retried 2 times after SIGSTOP and SIGCONT"},
        {3, CANDIDATES, "ALRM", "retried 3 times, perhaps after SIGALRM"},
        {3, CANDIDATES, "ALRM,TERM", "retried 3 times, perhaps after SIGALRM or SIGTERM"},
        {2, CANDIDATES, "", "retried 2 times, perhaps after SIGSTOP and SIGCONT"},
        {2, 0, "TERM", "retried 2 times"},
        {2, PASSED, "", "retried 2 times"}, /* the flag means nothing of what was not let through */
        {2, EXACT | CANDIDATES, "TERM", "retried 2 times after SIGTERM"},
        {UINT32_MAX, EXACT, "TERM", "retried 4294967295 times after SIGTERM"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = retried(rows[i].retries, rows[i].flags, rows[i].signals);
        char line[256];
        snprintf(line, sizeof line, "curl[42] recvfrom(5, 16384) = 1448  %s\n", rows[i].remark);
        expect_text(&record, line);
    }
}

Test(interruption, says_why_the_program_was_interrupted)
{
    static const struct {
        uint32_t retries;
        uint16_t flags;
        const char *signals, *remark;
    } rows[] = {
        {0, EXACT | PASSED, "TERM", "interrupted by SIGTERM, left to the program by policy"},
        {0, CANDIDATES | PASSED, "TERM,HUP",
         "interrupted, perhaps by SIGHUP or SIGTERM, left to the program by policy"},
        {0, EXACT, "TERM", "interrupted by SIGTERM, cannot be retried"},
        {0, CANDIDATES, "", "interrupted, perhaps by SIGSTOP and SIGCONT, cannot be retried"},
        {0, 0, "TERM", "interrupted, cannot be retried"},
        {0, PASSED, "TERM", "interrupted, left to the program by policy"},
        {5, EXACT | PASSED, "TERM,USR1",
         "interrupted by SIGUSR1 and SIGTERM, retried 5 times, then left to the program by policy"},
        {1, 0, "", "interrupted, retried 1 time, cannot be retried again"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = interrupted(rows[i].flags, rows[i].signals);
        char line[256];
        record.retries = rows[i].retries;
        snprintf(line, sizeof line, "curl[42] recvfrom(5, 16384) = -1 EINTR  %s\n", rows[i].remark);
        expect_text(&record, line);
    }
}

static const char *words(uint64_t signals, enum certainty certainty)
{
    static char text[INTERRUPTION_WORDS_MAX];
    struct interruption interruption = {OUTCOME_RETRIED, certainty, signals};
    interruption_words(&interruption, "after", text);
    return text;
}

Test(interruption, names_some_of_many_signals)
{
    cr_assert_str_eq(words(set("HUP,INT,QUIT,USR1,USR2"), CERTAINTY_EXACT),
                     " after SIGHUP, SIGINT, SIGQUIT, SIGUSR1 and SIGUSR2", "one more costs no more than `1 other'");
    cr_assert_str_eq(words(set("HUP,INT,QUIT,USR1,USR2,TERM"), CERTAINTY_CANDIDATES),
                     ", perhaps after SIGHUP, SIGINT, SIGQUIT, SIGUSR1 or 2 others");
    /* As of a program with a handler for its crashes. */
    cr_assert_str_eq(words(set("ILL,TRAP,ABRT,BUS,FPE,SEGV,SYS,ALRM,TERM"), CERTAINTY_CANDIDATES),
                     ", perhaps after SIGALRM, SIGTERM, SIGILL, SIGTRAP or 5 others");
    cr_assert_str_eq(words(UINT64_MAX, CERTAINTY_EXACT), " after SIGHUP, SIGINT, SIGQUIT, SIGKILL and 60 others");
    cr_assert_str_eq(words(UINT64_MAX, CERTAINTY_UNKNOWN), "");
    uint64_t longest = set("RTMIN+11,RTMIN+12,RTMIN+13,RTMIN+14,RTMIN+15");
    cr_assert_str_eq(words(longest, CERTAINTY_CANDIDATES),
                     ", perhaps after SIGRTMIN+11, SIGRTMIN+12, SIGRTMIN+13, SIGRTMIN+14 or SIGRTMIN+15");
}

/* The part of a JSON line that comes after TCP's. */
static const char *json_end(const struct recvshim_record *record)
{
    const char *line = print(&format_json, record, false), *end = strstr(line, ",\"signals\":");
    cr_assert_not_null(end, "%s", line);
    return end;
}

static const char *csv_end(const struct recvshim_record *record, size_t fields)
{
    const char *line = print(&format_csv, record, false), *at = line + strlen(line);
    while (fields > 0)
        fields -= *--at == ',';
    return at;
}

Test(interruption, is_told_to_programs)
{
    static const struct {
        uint16_t flags;
        const char *signals, *json, *csv;
    } of_retried[] =
        {
            {EXACT, "ALRM,USR1",
             ",\"signals\":[\"SIGUSR1\",\"SIGALRM\"],\"signals_certain\":true,\"passed\":null" JSON_NO_FAULTS,
             ",SIGUSR1|SIGALRM,true," CSV_NO_FAULTS},
            {CANDIDATES, "", ",\"signals\":[],\"signals_certain\":false,\"passed\":null" JSON_NO_FAULTS,
             ",,false," CSV_NO_FAULTS},
            {PASSED, "ALRM", ",\"signals\":null,\"signals_certain\":null,\"passed\":null" JSON_NO_FAULTS,
             ",,," CSV_NO_FAULTS},
        },
      of_interrupted[] = {
          {EXACT, "TERM", ",\"signals\":[\"SIGTERM\"],\"signals_certain\":true,\"passed\":false" JSON_NO_FAULTS,
           ",SIGTERM,true,false" CSV_NO_FAULTS},
          {PASSED, "", ",\"signals\":null,\"signals_certain\":null,\"passed\":true" JSON_NO_FAULTS,
           ",,,true" CSV_NO_FAULTS},
      };
    for (size_t i = 0; i < sizeof of_retried / sizeof of_retried[0]; i++) {
        struct recvshim_record record = retried(1, of_retried[i].flags, of_retried[i].signals);
        cr_assert_str_eq(json_end(&record), of_retried[i].json);
        cr_assert_str_eq(csv_end(&record, 9), of_retried[i].csv);
    }
    for (size_t i = 0; i < sizeof of_interrupted / sizeof of_interrupted[0]; i++) {
        struct recvshim_record record = interrupted(of_interrupted[i].flags, of_interrupted[i].signals);
        cr_assert_str_eq(json_end(&record), of_interrupted[i].json);
        cr_assert_str_eq(csv_end(&record, 9), of_interrupted[i].csv);
    }
}

Test(interruption, is_drawn_where_there_is_one)
{
    struct recvshim_record record = base_record();
    const char *text = print(&format_chrome, &record, false);
    cr_assert(strstr(text, "signals") == NULL && strstr(text, "passed") == NULL, "%s", text);
    record = retried(1, CANDIDATES, "");
    text = print(&format_chrome, &record, false);
    cr_assert_not_null(strstr(text, ",\"signals\":[],\"signals_certain\":false}}"), "%s", text);
    record = interrupted(EXACT | PASSED, "TERM");
    text = print(&format_chrome, &record, false);
    cr_assert_not_null(strstr(text, ",\"signals\":[\"SIGTERM\"],\"signals_certain\":true,\"passed\":true}}"), "%s",
                       text);
}

Test(interruption, is_nothing_of_other_records)
{
    struct recvshim_record record = retried(0, EXACT | PASSED | INTENT, "TERM");
    cr_assert_eq(interruption_of(&record).outcome, OUTCOME_NONE, "it was not interrupted");
    cr_assert_eq(interruption_of(&record).certainty, CERTAINTY_UNKNOWN);
    cr_assert_eq(interruption_of(&record).signals, 0);
    cr_assert_str_eq(json_end(&record), ",\"signals\":null,\"signals_certain\":null,\"passed\":null" JSON_NO_FAULTS);
    for (unsigned int kind = RECVSHIM_EVENT_CONNECT; kind <= UINT8_MAX; kind++) {
        record = retried(7, EXACT | PASSED | INTENT, "TERM");
        record.event = (uint8_t)kind;
        cr_assert_eq(interruption_of(&record).outcome, OUTCOME_NONE, "event %u is no receive", kind);
    }
}

/* What lies at the same place: an IPv6 address of ours, and nothing else. */
Test(interruption, gives_way_to_a_local_address)
{
    struct recvshim_record record = retried(1, EXACT | RECVSHIM_RESULT_LOCAL | RECVSHIM_RESULT_PEER, "TERM");
    record.family = AF_INET6;
    const char *line = print(&format_json, &record, false);
    cr_assert_not_null(strstr(line, ",\"local_address\":\"::40:0:0:0\""), "%s", line);
    cr_assert_str_eq(json_end(&record), ",\"signals\":null,\"signals_certain\":null,\"passed\":null" JSON_NO_FAULTS);
    cr_assert_eq(interruption_of(&record).outcome, OUTCOME_RETRIED);

    memcpy(record.local_address, (uint8_t[]){127, 0, 0, 1}, 4);
    record.family = AF_INET;
    line = print(&format_json, &record, false);
    cr_assert_not_null(strstr(line, ",\"local_address\":\"127.0.0.1\""), "%s", line);
    cr_assert_str_eq(json_end(&record),
                     ",\"signals\":[\"SIGTERM\"],\"signals_certain\":true,\"passed\":null" JSON_NO_FAULTS);

    record = retried(1, EXACT | RECVSHIM_RESULT_TCP | RECVSHIM_RESULT_PEER, "TERM");
    record.event = RECVSHIM_EVENT_DISCONNECT;
    record.socket_type = SOCK_STREAM;
    record.family = AF_INET6;
    record.result = 0;
    record.tcp = (struct recvshim_tcp){.rtt = 1234, .state = TCP_CLOSE_WAIT};
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: peer closed the connection, from [::]:0, "
                         "rtt 1.234 ms, retried 1 time after SIGTERM\n");
}

Test(interruption, survives_hostile_records)
{
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome};
    static struct interruptions sums;
    static struct against_intent against;
    struct recvshim_record record;
    for (unsigned int byte = 0; byte < 256; byte += 5) {
        memset(&record, (int)byte, sizeof record);
        for (unsigned int kind = 0; kind < RECVSHIM_EVENTS + 2U; kind++) {
            record.event = (uint8_t)kind;
            interruptions_add(&sums, &record);
            against_intent_add(&against, &record);
            for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
                print(formats[i], &record, true);
        }
    }
    struct recvshim_record all = interrupted(EXACT, "");
    all.signals = UINT64_MAX;
    const char *line = json_end(&all);
    cr_assert_not_null(strstr(line, "[\"SIGHUP\",\"SIGINT\","), "%s", line);
    cr_assert_not_null(strstr(line, ",\"SIGSYS\",\"SIG32\",\"SIG33\",\"SIGRTMIN\","), "%s", line);
    cr_assert_not_null(strstr(line, "\"SIGRTMAX\"],\"signals_certain\":true,\"passed\":false" JSON_NO_FAULTS), "%s",
                       line);
    size_t names = 0;
    for (const char *at = line; (at = strstr(at, "\"SIG")) != NULL; at++)
        names++;
    cr_assert_eq(names, SIGNAL_MAX);
}

static struct interruptions sums;

static void add(uint32_t retries, uint16_t flags, const char *signals)
{
    struct recvshim_record record = retries == 0 ? interrupted(flags, signals) : retried(retries, flags, signals);
    interruptions_add(&sums, &record);
}

Test(interruption, adds_up_by_what_became_of_it_and_its_signals)
{
    struct recvshim_record record = base_record();
    interruptions_add(&sums, &record);
    cr_assert_eq(sums.count, 0, "it was not interrupted");
    add(1, CANDIDATES, "ALRM");
    add(0, EXACT, "TERM");
    add(0, EXACT | PASSED, "TERM");
    add(40, EXACT, "ALRM");
    add(1, EXACT, "ALRM");
    record = interrupted(EXACT | PASSED, "TERM");
    record.retries = 3; /* once, under what became of it in the end */
    interruptions_add(&sums, &record);
    interruptions_sort(&sums);
    static const struct {
        enum outcome outcome;
        enum certainty certainty;
        uint64_t receives, retries;
    } rows[] = {{OUTCOME_RETRIED, CERTAINTY_EXACT, 2, 41},
                {OUTCOME_RETRIED, CERTAINTY_CANDIDATES, 1, 1},
                {OUTCOME_PASSED, CERTAINTY_EXACT, 2, 3},
                {OUTCOME_LEFT, CERTAINTY_EXACT, 1, 0}};
    cr_assert_eq(sums.count, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < sums.count; i++) {
        cr_assert_eq(sums.rows[i].interruption.outcome, rows[i].outcome, "row %zu", i);
        cr_assert_eq(sums.rows[i].interruption.certainty, rows[i].certainty, "row %zu", i);
        cr_assert_eq(sums.rows[i].receives, rows[i].receives, "row %zu", i);
        cr_assert_eq(sums.rows[i].retries, rows[i].retries, "row %zu", i);
    }
}

Test(interruption, loses_nothing_where_its_table_is_full)
{
    struct recvshim_record record = retried(2, EXACT, "");
    for (uint64_t i = 0; i < INTERRUPTIONS_MAX + 10; i++) {
        record.signals = i;
        interruptions_add(&sums, &record);
    }
    record.signals = 3; /* there is a row for it */
    interruptions_add(&sums, &record);
    add(0, PASSED, "");
    add(0, 0, "");
    cr_assert_eq(sums.count, INTERRUPTIONS_MAX);
    cr_assert_eq(sums.rows[3].receives, 2);
    cr_assert_eq(sums.others[OUTCOME_RETRIED].receives, 10);
    cr_assert_eq(sums.others[OUTCOME_RETRIED].retries, 20);
    cr_assert_eq(sums.others[OUTCOME_PASSED].receives, 1);
    cr_assert_eq(sums.others[OUTCOME_LEFT].receives, 1);
    sums.rows[0].retries = UINT64_MAX - 1;
    sums.rows[0].receives = 9;
    record.signals = 0;
    interruptions_add(&sums, &record);
    cr_assert_eq(sums.rows[0].retries, UINT64_MAX, "no sum begins anew at 0");
}

static struct against_intent against;

static const char *remark_after(uint32_t retries, uint16_t flags, const char *signals)
{
    static char text[AGAINST_INTENT_WORDS_MAX];
    struct recvshim_record record = retried(retries, flags, signals);
    against_intent_add(&against, &record);
    return against_intent_words(&against, text) ? text : NULL;
}

Test(interruption, tells_what_intent_would_do)
{
    static const char advice[] = ": the program may count on EINTR to stop or to time out; try --eintr intent";
    struct recvshim_record record = retried(2, EXACT | INTENT, "TERM");
    record.event = RECVSHIM_EVENT_CONNECT;
    against_intent_add(&against, &record);
    cr_assert_null(remark_after(2, EXACT, "ALRM"));
    cr_assert_null(remark_after(0, EXACT | INTENT, "ALRM"), "it was not retried");
    const char *remark = remark_after(2, EXACT | INTENT, "ALRM,USR1");
    cr_assert_eq(strncmp(remark,
                         "1 receive was retried after SIGALRM, whose handler does not ask for restarts "
                         "(SA_RESTART): the program ",
                         85),
                 0, "%s", remark);
    cr_assert_str_eq(strchr(remark, ':'), advice);
    for (int i = 0; i < 40; i++)
        remark = remark_after(1, EXACT | INTENT, "TERM");
    cr_assert_eq(strncmp(remark, "41 receives were retried after SIGALRM and SIGTERM, whose handlers do not ask ", 78),
                 0, "%s", remark);
    remark = remark_after(1, INTENT, "");
    cr_assert_eq(strncmp(remark, "42 receives were retried, perhaps after SIGALRM or SIGTERM, whose handlers do ", 78),
                 0, "%s", remark);
    remark = remark_after(1, CANDIDATES | INTENT, "USR1,WINCH");
    cr_assert_eq(strncmp(remark, "43 receives were retried, perhaps after SIGUSR1, SIGALRM, SIGTERM or SIGWINCH, ", 79),
                 0, "siginterrupt makes any signal one that matters: %s", remark);
    against = (struct against_intent){0};
    remark = remark_after(1, INTENT, "");
    cr_assert_eq(strncmp(remark, "1 receive was retried after a signal whose handler does not ask ", 64), 0, "%s",
                 remark);
    against = (struct against_intent){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    char text[AGAINST_INTENT_WORDS_MAX];
    cr_assert(against_intent_words(&against, text));
    cr_assert_str_eq(strchr(text, ':'), advice, "it fits");
}
