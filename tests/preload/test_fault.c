/* What each action does to a receive, and what is recorded of it. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(fault, .init = harness_begin, .fini = harness_end);

/* The victim's own account of its calls under a rule, traced. */
#define RECEIVES(rule, ...) receives(rule, &(struct job){.argv = {"faulted", __VA_ARGS__}})

static struct finished last;

static const char *receives(const char *rule, struct job *job)
{
    static char setting[512];
    snprintf(setting, sizeof setting, "RECVSHIM_FAULT=%s", rule);
    size_t at = 0;
    while (job->env[at] != NULL)
        at++;
    job->env[at] = setting;
    job->env[at + 1] = "RECVSHIM_SEED=1";
    last = finish(start(job));
    cr_assert(exited_with(&last, 0), "%s: %s", rule, last.err);
    cr_assert_str_empty(last.err, "%s", last.err);
    return last.out;
}

/* The injections in the trace, in order: rule:action=value#ordinal. */
static const char *faults(void)
{
    static char text[4096];
    size_t length = 0;
    struct ring ring = read_trace(trace_path());
    text[0] = '\0';
    for (long long i = 0; i < ring.count; i++) {
        const struct recvshim_record *record = &ring.records[i];
        if (record->event != RECVSHIM_EVENT_FAULT)
            continue;
        cr_assert_eq(__builtin_popcount(record->injected), 1);
        cr_expect_neq(record->injection.origin, 0);
        length += (size_t)snprintf(text + length, sizeof text - length, " %u:%d=%lld#%llu", record->rule,
                                   __builtin_ctz(record->injected), (long long)record->result,
                                   (unsigned long long)record->ordinal);
    }
    free_ring(&ring);
    return text;
}

#define ACTIONS(...) actions_are((const struct action[]){__VA_ARGS__, {0, 0, 0, 0}})
struct action {
    unsigned int rule;
    enum recvshim_action action;
    long long value;
    unsigned long long ordinal;
};

static void actions_are(const struct action *actions)
{
    char text[4096];
    size_t length = 0;
    text[0] = '\0';
    for (; actions->rule != 0; actions++)
        length += (size_t)snprintf(text + length, sizeof text - length, " %u:%d=%lld#%llu", actions->rule,
                                   (int)actions->action, actions->value, actions->ordinal);
    cr_expect_str_eq(faults(), text);
}

/* How many receives are marked with that action. */
static long long marked(enum recvshim_action action)
{
    struct ring ring = read_receives(trace_path());
    long long count = 0;
    for (long long i = 0; i < ring.count; i++)
        count += (ring.records[i].injected >> action & 1) != 0 && ring.records[i].event != RECVSHIM_EVENT_FAULT;
    free_ring(&ring);
    return count;
}

/* ---- error, eof ---- */

Test(fault, an_error_takes_nothing)
{
    static const char *const kinds[] = {"kind=tcp", "kind=unix"};
    for (size_t i = 0; i < 2; i++)
        cr_expect_str_eq(RECEIVES("*:error=ECONNRESET:when=2", kinds[i], "length=10", "count=4"),
                         " 10/0a -1/104 10/0k 10/0u\n");
    static const char *const packets[] = {"kind=seqpacket", "kind=dgram", "kind=udp", "kind=udp6"};
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(RECEIVES("*:error=EIO:when=2", packets[i], "count=4"), " 10/0a -1/5 10/0b 10/0c\n");
    ACTIONS({1, RECVSHIM_ACTION_ERROR, ECONNRESET, 2}, {1, RECVSHIM_ACTION_ERROR, ECONNRESET, 2},
            {1, RECVSHIM_ACTION_ERROR, EIO, 2}, {1, RECVSHIM_ACTION_ERROR, EIO, 2}, {1, RECVSHIM_ACTION_ERROR, EIO, 2},
            {1, RECVSHIM_ACTION_ERROR, EIO, 2});
}

Test(fault, an_injected_reset_is_a_disconnect_and_not_the_end)
{
    cr_expect_str_eq(RECEIVES("*:error=ECONNRESET:when=1", "length=10", "count=5", "close=1"),
                     " -1/104 10/0a 10/0k 10/0u 0/0\n");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 2, "and the real end is told, too");
    cr_expect_eq(ring.records[0].injected, 1U << RECVSHIM_ACTION_ERROR);
    free_ring(&ring);
}

/* Above the retry: it reaches the program under any policy, and nobody's signal is blamed. */
Test(fault, an_injected_eintr_reaches_the_program)
{
    static const char *const policies[] = {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR=intent", "RECVSHIM_EINTR=never"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(receives("*:error=EINTR:when=1",
                                  &(struct job){.argv = {"faulted", "count=2", "timeout=1000"}, .env = {policies[i]}}),
                         " -1/4 30/0a\n");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_INTERRUPTED), 3);
    for (long long i = 0; i < ring.count; i++)
        cr_expect_eq(ring.records[i].result_flags & (RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES), 0);
    free_ring(&ring);
}

Test(fault, eof_lasts)
{
    static const char *const kinds[] = {"kind=tcp", "kind=unix", "kind=seqpacket"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(RECEIVES("*:eof:when=2", kinds[i], "length=10", "count=4", "send=1"), " 10/0a 0/0 0/0 0/0\n");
    cr_expect_str_eq(RECEIVES("*:eof:when=2", "length=10", "count=4", "dup=1"), " 10/0a 0/0 0/0 0/0\n",
                     "on the duplicate as well");
    cr_expect_str_eq(RECEIVES("*:eof:when=2", "kind=tcp", "call=recvfrom", "length=10", "count=2"),
                     " 10/0a@0,77 0/0@0,77\n", "without an address, as the kernel's");
    cr_expect_str_eq(RECEIVES("*:eof:when=2", "kind=udp"), " 10/0a 10/0b 10/0c\n", "datagrams have no end");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 5, "one each");
    free_ring(&ring);
}

/* ---- short ---- */

Test(fault, short_asks_for_less)
{
    cr_expect_str_eq(RECEIVES("*:short=4", "count=8", "intact=1"),
                     " 4/0a 4/0e 4/0i 4/0m 4/0q 4/0u 4/0y 2/0c intact 1\n");
    cr_expect_eq(marked(RECVSHIM_ACTION_SHORT), 7);
    cr_expect_str_eq(RECEIVES("*:short=4", "length=3", "count=2"), " 3/0a 3/0d\n",
                     "more than was asked for is no fault");
    cr_expect_eq(marked(RECVSHIM_ACTION_SHORT), 7);
    cr_expect_str_eq(RECEIVES("*:short=4", "length=0", "count=2"), " 0/0 0/0\n");
    cr_expect_str_eq(RECEIVES("*:short=4:times=1", "send=0", "close=1", "count=2"), " 0/0 0/0\n", "there is no more");
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_PEEK);
    cr_expect_str_eq(RECEIVES("*:short=4", "count=2", flags), " 4/0a 4/0a\n");
    snprintf(flags, sizeof flags, "flags=%d", MSG_WAITALL);
    cr_expect_str_eq(RECEIVES("*:short=4", "length=30", "count=2", flags), " 4/0a 4/0e\n");
    snprintf(flags, sizeof flags, "flags=%d", MSG_TRUNC);
    cr_expect_str_eq(RECEIVES("*:short=4:when=1", "length=26", "count=2", flags), " 4/0- 26/0-\n",
                     "thrown away by the kernel, and no more of it");
    cr_expect_str_eq(RECEIVES("*:short=4", "kind=udp"), " 10/0a 10/0b 10/0c\n", "it would lose data");
    cr_expect_str_eq(RECEIVES("*:short=4", "kind=seqpacket"), " 10/0a 10/0b 10/0c\n");
}

Test(fault, a_stream_in_pieces_of_all_sizes_is_intact)
{
    RECEIVES("*:short=1..7", "kind=tcp", "send=16", "size=1000", "length=4096", "count=3000", "close=1", "intact=1");
    cr_expect(strstr(last.out, " intact 1\n") != NULL);
    struct ring ring = read_receives(trace_path());
    long long seen[8] = {0}, bytes = 0;
    for (long long i = 0; i < ring.count; i++) {
        cr_assert(ring.records[i].result >= 0 && ring.records[i].result <= 7);
        seen[ring.records[i].result]++;
        bytes += ring.records[i].result;
    }
    cr_expect(seen[0] <= 1);
    for (int size = 1; size <= 7; size++)
        cr_expect_gt(seen[size], 100, "%d: %lld", size, seen[size]);
    cr_expect_gt(bytes, 11000);
    free_ring(&ring);
}

/* ---- delay ---- */

Test(fault, delays_add_up)
{
    cr_expect_str_eq(strtok(strdup(RECEIVES("*:delay=30ms;*:delay=40ms:when=2;*:error=EIO:when=3", "length=10",
                                            "count=3", "elapsed=1")),
                            "\n"),
                     " 10/0a 10/0k -1/5");
    cr_expect(said(&last, "elapsed") >= 130, "%s", last.out);
    ACTIONS({1, RECVSHIM_ACTION_DELAY, 30000000, 1}, {1, RECVSHIM_ACTION_DELAY, 30000000, 2},
            {2, RECVSHIM_ACTION_DELAY, 40000000, 2}, {1, RECVSHIM_ACTION_DELAY, 30000000, 3},
            {3, RECVSHIM_ACTION_ERROR, EIO, 3});
    cr_expect_eq(marked(RECVSHIM_ACTION_DELAY), 3);
}

/* The call starts later, and so does its time-out. */
Test(fault, a_delay_is_not_part_of_the_time_out)
{
    RECEIVES("*:delay=100ms", "send=0", "timeout=100", "count=1", "elapsed=1");
    cr_expect(strncmp(last.out, " -1/11", 6) == 0 && said(&last, "elapsed") >= 199, "%s", last.out);
    RECEIVES("*:delay=200ms;*:interrupt=1", "send=0", "timeout=100", "count=1", "elapsed=1");
    cr_expect(strncmp(last.out, " -1/11", 6) == 0 && said(&last, "elapsed") >= 299, "%s", last.out);
}

/* ---- interrupt ---- */

Test(fault, interruptions_below_the_retry_are_absorbed)
{
    static const char *const policies[] = {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR=intent", "RECVSHIM_EINTR=restart"};
    static const char *const timeouts[] = {"timeout=0", "timeout=2000"};
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_DONTWAIT);
    const char *const all_flags[] = {"flags=0", flags};
    for (int i = 0; i < 12; i++)
        cr_expect_str_eq(receives("*:interrupt=5:when=2",
                                  &(struct job){.argv = {"faulted", "length=10", timeouts[i / 3 % 2], all_flags[i / 6]},
                                                .env = {policies[i % 3]}}),
                         " 10/0a 10/0k 10/0u\n", "%d", i);
    struct ring ring = read_receives(trace_path());
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_RECEIVE)
            cr_expect_eq(ring.records[i].retries, ring.records[i].injected != 0 ? 5 : 0);
    cr_expect_eq(retries_of(&ring), 12 * 5);
    free_ring(&ring);
    cr_expect_str_eq(receives("*:interrupt=5:when=2",
                              &(struct job){.argv = {"faulted", "length=10"}, .env = {"RECVSHIM_EINTR=never"}}),
                     " 10/0a -1/4 10/0k\n", "where nothing is retried");
}

/* After the call has waited to see from whom the datagram is, which is part of its time. */
Test(fault, interruptions_of_one_that_has_waited_are_absorbed)
{
    cr_expect_str_eq(
        RECEIVES("*:interrupt=2:peer=127.0.0.1", "kind=udp", "send=0", "late=1", "count=1", "timeout=60000"),
        " 10/0a\n");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(retries_of(&ring), 2);
    free_ring(&ring);
}

/* ---- datagrams ---- */

Test(fault, truncate_cuts_datagrams)
{
    static const char *const kinds[] = {"kind=udp", "kind=dgram"};
    for (size_t i = 0; i < 2; i++)
        cr_expect_str_eq(RECEIVES("*:truncate=4:when=2", kinds[i]), " 10/0a 4/0b 10/0c\n", "the rest is gone");
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_TRUNC);
    cr_expect_str_eq(RECEIVES("*:truncate=4:when=2", "kind=udp", flags), " 10/0a 10/0b 10/0c\n", "its real length");
    cr_expect_str_eq(RECEIVES("*:truncate=0:when=2", "kind=udp"), " 10/0a 0/0 10/0c\n");
    cr_expect_str_eq(RECEIVES("*:truncate=4", "kind=tcp", "count=1"), " 30/0a\n", "a stream has none");
}

Test(fault, drop_awaits_the_next)
{
    static const char *const kinds[] = {"kind=udp", "kind=udp6", "kind=dgram"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(RECEIVES("*:drop:when=2", kinds[i], "count=2"), " 10/0a 10/0c\n");
    cr_expect_str_eq(RECEIVES("*:drop:when=1", "kind=udp", "count=3", "late=1"), " 10/0b 10/0c 10/0d\n");
    cr_expect_str_eq(RECEIVES("*:drop:when=1", "kind=udp", "count=1", "send=1", "late=1"), " 10/0b\n", "by waiting");
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_DONTWAIT);
    cr_expect_str_eq(RECEIVES("*:drop:when=1", "kind=udp", "count=2", "send=1", flags), " -1/11 -1/11\n",
                     "as the call would wait: not at all");
    snprintf(flags, sizeof flags, "flags=%d", MSG_PEEK);
    cr_expect_str_eq(RECEIVES("*:drop", "kind=udp", "count=2", flags), " 10/0a 10/0a\n", "only looked at");
    cr_expect_str_eq(RECEIVES("*:drop:when=1", "kind=udp6", "call=recvfrom", "count=1"), " 10/0b@28,0\n");
}

/* Who sent what was thrown away is known from nowhere else. */
Test(fault, drop_tells_the_source)
{
    RECEIVES("*:drop:when=1", "kind=udp", "count=1");
    struct ring ring = read_trace(trace_path());
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_FAULT)
            cr_expect(ring.records[i].family == AF_INET && ring.records[i].port != 0 &&
                      ring.records[i].address[0] == 127);
    free_ring(&ring);
}

/* Each drop waits for what is left of one time-out; the kernel's would begin anew. */
Test(fault, drop_keeps_the_deadline)
{
    static const char *const policies[] = {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR=never"};
    for (size_t i = 0; i < 2; i++) {
        UNTIL (said(&last, "elapsed") < 1750)
            receives("*:drop", &(struct job){.argv = {"faulted", "kind=udp", "send=0", "late=1", "pause=800",
                                                      "timeout=1000", "count=1", "elapsed=1"},
                                             .env = {policies[i]}});
        cr_expect(strncmp(last.out, " -1/11", 6) == 0, "%s", last.out);
        cr_expect(said(&last, "elapsed") >= 999 && said(&last, "elapsed") < 1750, "%s", last.out);
    }
}

/* Where poll is refused the kernel waits, though its time-out begins anew: nothing has interrupted the receive. */
Test(fault, drop_waits_without_poll)
{
    cr_expect_str_eq(
        RECEIVES("*:drop:times=1", "kind=udp", "send=1", "late=1", "timeout=30000", "count=1", "no-poll=1"),
        " 10/0b\n");
    cr_expect_str_eq(RECEIVES("*:drop", "kind=udp", "send=1", "timeout=50", "count=1", "no-poll=1"), " -1/11\n");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(retries_of(&ring), 0);
    free_ring(&ring);
}

/* A datagram that did not come is none that was dropped. */
Test(fault, what_has_no_effect_is_no_injection)
{
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_DONTWAIT);
    cr_expect_str_eq(RECEIVES("*:drop:times=1", "kind=udp", "send=0", flags, "count=3"), " -1/11 -1/11 -1/11\n");
    cr_expect_str_eq(RECEIVES("*:corrupt=1", "kind=udp", "send=0", flags, "count=1"), " -1/11\n");
    cr_expect_str_eq(RECEIVES("recvfrom:scope=5", "kind=udp", "call=recvfrom", "count=1"), " 10/0a@16,77\n");
    cr_expect_str_empty(faults());
}

/* ---- corrupt, scope ---- */

Test(fault, corrupt_flips_bits_of_what_was_received)
{
    RECEIVES("*:corrupt=1", "kind=tcp", "intact=1", "count=1");
    cr_expect(strstr(last.out, " intact 0\n") != NULL);
    RECEIVES("*:corrupt=1:when=1", "kind=tcp", "intact=1", "count=1", "flags=2");
    cr_expect(strstr(last.out, " intact 1\n") != NULL, "just that look at it");
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_TRUNC);
    cr_expect_str_eq(RECEIVES("*:corrupt=8000", "kind=tcp", flags, "count=1"), " 30/0-\n", "the buffer has none of it");
    struct ring ring = read_trace(trace_path());
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_FAULT)
            cr_expect_neq(ring.records[i].injection.draw, 0);
    free_ring(&ring);
}

Test(fault, a_scope_from_below_is_normalised)
{
    cr_expect_str_eq(RECEIVES("recvfrom:scope=5", "kind=udp6", "call=recvfrom", "count=1"), " 10/0a@28,0\n");
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.records[0].result_flags & RECVSHIM_RESULT_NORMALISED, RECVSHIM_RESULT_NORMALISED);
    free_ring(&ring);
    cr_expect_str_eq(
        receives("recvfrom:scope=5", &(struct job){.argv = {"faulted", "kind=udp6", "call=recvfrom", "count=1"},
                                                   .env = {"RECVSHIM_SCOPE=keep"}}),
        " 10/0a@28,5\n");
}

/* ---- selection ---- */

Test(fault, the_first_that_matches_acts)
{
    cr_expect_str_eq(RECEIVES("*:error=EIO:when=2;*:error=EPIPE:when=2..3;*:short=3", "count=4"),
                     " 3/0a -1/5 -1/32 3/0d\n");
}

Test(fault, by_call_type_and_descriptor)
{
    cr_expect_str_eq(RECEIVES("recvfrom:error=EIO", "count=1"), " 30/0a\n");
    cr_expect_str_eq(RECEIVES("recv:error=EIO", "count=1"), " -1/5\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:type=dgram", "count=1"), " 30/0a\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:type=stream", "count=1"), " -1/5\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:fd=99", "count=1"), " 30/0a\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:peer=127.0.0.1", "count=1"), " -1/5\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:peer=127.0.0.0/8", "count=1"), " -1/5\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:peer=10.0.0.0/8", "count=1"), " 30/0a\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:port=1", "count=1"), " 30/0a\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:after=20", "length=10", "count=3"), " 10/0a 10/0k -1/5\n");
}

/* Of a socket without a peer each datagram has its own, which only it can tell. */
Test(fault, by_the_source_of_a_datagram)
{
    static const char *const calls[] = {"call=recv", "call=recvfrom"};
    cr_expect_str_eq(RECEIVES("*:drop:peer=127.0.0.1:when=2", "kind=udp", "count=2"), " 10/0a 10/0c\n");
    cr_expect_str_eq(RECEIVES("*:drop:peer=127.0.0.2", "kind=udp"), " 10/0a 10/0b 10/0c\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:peer=[::1]:when=2", "kind=udp6", "count=3"), " 10/0a -1/5 10/0b\n");
    for (size_t i = 0; i < 2; i++) {
        UNTIL (said(&last, "elapsed") < 1750)
            RECEIVES("*:drop:peer=127.0.0.1", "kind=udp", "send=0", "late=1", "pause=800", "timeout=1000", "count=1",
                     "elapsed=1", calls[i]);
        cr_expect(strncmp(last.out, " -1/11", 6) == 0, "%s", last.out);
        cr_expect(said(&last, "elapsed") >= 999 && said(&last, "elapsed") < 1750, "%s", last.out);
    }
    char flags[32];
    snprintf(flags, sizeof flags, "flags=%d", MSG_DONTWAIT);
    cr_expect_str_eq(RECEIVES("*:error=EPIPE:when=2;*:drop:peer=127.0.0.1", "kind=udp", "send=0", flags, "count=3"),
                     " -1/11 -1/32 -1/11\n", "rules that look at no peer act all the same");
}

/* ---- counts ---- */

/* Receives that no rule has to do with are counted as well, and have an end. */
Test(fault, all_receives_are_counted)
{
    cr_expect_str_eq(RECEIVES("recvfrom:error=EIO", "call=both", "length=5", "count=6"),
                     " 5/0a -1/5@28,77 5/0f -1/5@28,77 5/0k -1/5@28,77\n");
    ACTIONS({1, RECVSHIM_ACTION_ERROR, EIO, 2}, {1, RECVSHIM_ACTION_ERROR, EIO, 4}, {1, RECVSHIM_ACTION_ERROR, EIO, 6});
    cr_expect_str_eq(RECEIVES("recv:eof:when=2", "call=both", "length=5", "count=5"),
                     " 5/0a 5/0f@0,77 0/0 0/0@0,77 0/0\n");
}

Test(fault, counts_of_processes_connections_and_the_trace)
{
    cr_expect_str_eq(RECEIVES("*:error=EIO:when=2", "count=3", "length=10", "fork=1"),
                     " 10/0a -1/5 10/0k\n 10/0a -1/5 10/0k\n", "each process from 1");
    cr_expect_str_eq(RECEIVES("*:error=EIO:when=2", "count=3", "length=10", "fork=1", "early=1"),
                     " 10/0a -1/5 10/0k\n 10/0a -1/5 10/0k\n 10/0a 10/0k 10/0u\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:when=2:per=trace", "count=3", "length=10", "fork=1"),
                     " 10/0a -1/5 10/0k\n 10/0a 10/0k 10/0u\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:when=2:per=connection", "count=3", "length=10", "fork=1"),
                     " 10/0a -1/5 10/0k\n 10/0a -1/5 10/0k\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:times=2", "count=4", "length=10"), " -1/5 -1/5 10/0a 10/0k\n");
    cr_expect_str_eq(RECEIVES("*:error=EIO:times=1:per=trace", "count=2", "length=10", "fork=2"),
                     " -1/5 10/0a\n 10/0a 10/0k\n 10/0a 10/0k\n");
    cr_expect_str_eq(RECEIVES("recv:error=EIO:when=3:per=connection", "count=4", "length=10", "dup=1"),
                     " 10/0a 10/0k -1/5 10/0u\n", "duplicates are one connection");
    cr_expect_str_eq(RECEIVES("recv:error=EIO:when=3:per=connection", "count=4", "length=10", "dup=2"),
                     " 10/0a 10/0k -1/5 10/0u\n");
}

/* ---- surroundings ---- */

Test(fault, without_a_trace)
{
    struct finished job = RUN(.argv = {"faulted", "count=3", "length=10"},
                              .env = {"RECVSHIM_TRACE=", "RECVSHIM_FAULT=*:error=EIO:when=2:peer=127.0.0.1"});
    cr_expect_str_eq(job.out, " 10/0a -1/5 10/0k\n");
    cr_expect_str_empty(job.err);
    job =
        RUN(.argv = {"faulted", "count=1"}, .env = {"RECVSHIM_TRACE=", "RECVSHIM_FAULT=*:error=EIO:per=trace:times=1"});
    cr_expect_str_eq(job.out, " 30/0a\n");
    cr_expect_str_eq(job.err, "recvshim: RECVSHIM_FAULT=*:error=EIO:per=trace:times=1: per=trace needs a trace: give "
                              "RECVSHIM_TRACE; no fault is injected\n");
}

/* Peers are looked at as for a trace, but there is no table for the paths of unix sockets. */
Test(fault, without_a_trace_with_paths)
{
    NOT_UNDER_QEMU("python3 is of the machine's own kind");
    static const char script[] = "import socket, sys\n"
                                 "listener = socket.socket(socket.AF_UNIX)\n"
                                 "listener.bind(sys.argv[1])\n"
                                 "listener.listen()\n"
                                 "near = socket.socket(socket.AF_UNIX)\n"
                                 "near.connect(sys.argv[1])\n"
                                 "far, _ = listener.accept()\n"
                                 "far.send(b'all is well')\n"
                                 "print(near.recv(100).decode())\n";
    struct finished job = RUN(.argv = {"/usr/bin/python3", "-c", script, path_of("socket")},
                              .env = {"RECVSHIM_TRACE=", "RECVSHIM_FAULT=*:error=EIO:peer=192.0.2.1"});
    cr_expect_str_eq(job.out, "all is well\n");
    cr_expect_str_empty(job.err);
}

Test(fault, with_tracing_off)
{
    struct finished job = RUN(.argv = {"faulted", "count=3", "length=10"},
                              .env = {"RECVSHIM_TRACING=off", "RECVSHIM_FAULT=*:error=EIO:when=2"});
    cr_expect_str_eq(job.out, " 10/0a -1/5 10/0k\n");
}

/* The event is left out, and every other is as it is. */
Test(fault, events_without_faults)
{
    receives("*:error=EIO:when=2", &(struct job){.argv = {"faulted", "count=3", "length=10"}, .env = {RECEIVES_ONLY}});
    cr_expect_str_empty(faults());
    cr_expect_eq(marked(RECVSHIM_ACTION_ERROR), 1);
}
