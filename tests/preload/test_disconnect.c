/* SEMANTICS.md, "What counts as a disconnect", on live sockets. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

TestSuite(disconnect, .init = harness_begin, .fini = harness_end);

/* What the program saw, as result/errno each, and what is in the trace. */
static struct ring check(const char *way, const char *seen, const char *events)
{
    struct finished native = RUN(.argv = {"hangup", way}, .native = true);
    struct finished job = RUN(.argv = {"hangup", way});
    cr_assert(exited_with(&job, 0));
    cr_expect_str_eq(job.out, native.out, "%s: as without the library", way);
    if (seen != NULL)
        cr_expect_str_eq(job.out, seen, "%s: %s", way, job.out);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_str_eq(events_of(&ring), events, "%s: %s", way, events_of(&ring));
    return ring;
}

Test(disconnect, eof_once)
{
    struct ring ring = check("eof", "3/0 0/0 0/0 ", "Rd");
    cr_expect_eq(ring.records[1].error, 0);
    cr_expect_eq(ring.records[1].result, 0);
}

Test(disconnect, eof_first_seen_by_peeking)
{
    check("peeked", "0/0 0/0 ", "d");
}

Test(disconnect, reset_then_zero)
{
    struct ring ring = check("reset", "-1/104 0/0 ", "d");
    cr_expect_eq(ring.records[0].error, 104);
    cr_expect_eq(ring.records[0].result, -1);
}

Test(disconnect, empty_datagrams)
{
    check("empty-datagram", "0/0 0/0 ", "ee");
}

Test(disconnect, zero_length_request)
{
    check("zero-request", "0/0 3/0 ", "RR");
}

Test(disconnect, seqpacket)
{
    check("seqpacket", "0/0 0/0 0/0 ", "ed");
}

Test(disconnect, unix_stream)
{
    check("unix-stream", "0/0 ", "d");
}

Test(disconnect, reused_descriptor)
{
    struct ring ring = check("reused", NULL, "dd");
    cr_expect_eq(ring.records[0].fd, ring.records[1].fd, "the victim reuses it");
    cr_expect_neq(ring.records[0].connection, ring.records[1].connection);
}

/* A reader is stopped by shutdown and close, and the number is in use again before it has woken: the end is that of the
 * connection it waited for, and says nothing of the new one. */
Test(disconnect, closed_and_reused_while_waiting)
{
    struct finished job = RUN(.argv = {"hangup", "eof"}, .after = "lower_reuse.so");
    cr_assert(exited_with(&job, 0));
    cr_expect_str_eq(job.out, "3/0 0/0 0/0 ");
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_str_eq(events_of(&ring), "Rdd", "%s", events_of(&ring));
    cr_expect_eq(ring.records[1].connection, ring.records[0].connection);
    cr_expect_neq(ring.records[2].connection, ring.records[0].connection);
}

/* What was known of the closed stream (its type, that it had no time-out, that it ended) says nothing of the socket
 * that came by SCM_RIGHTS and has its number. */
Test(disconnect, descriptor_passed_in_place_of_another)
{
    struct finished job = RUN(.argv = {"passed"}, .env = {"RECVSHIM_EVENTS=all"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "empty"), 0);
    cr_expect_eq(said(&job, "result"), -1);
    cr_expect_eq(said(&job, "errno"), EAGAIN, "the passed socket's own time-out");
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_str_eq(events_of(&ring), "dew", "%s", events_of(&ring));
    cr_expect_neq(ring.records[0].connection, ring.records[1].connection);
    cr_expect_eq(ring.records[1].connection, ring.records[2].connection);
}

Test(disconnect, refused_datagram)
{
    struct ring ring = check("refused", "-1/111 ", "E");
    cr_expect_eq(ring.records[0].error, 111);
}

Test(disconnect, misuse)
{
    struct ring ring = check("misused", "-1/107 -1/9 -1/88 -1/14 -1/22 ", "EEEEE");
    cr_expect_eq(ring.records[0].error, 107);
    cr_expect_eq(ring.records[1].fd, -1);
}

Test(disconnect, would_block_only_when_asked_for)
{
    check("would-block", "-1/11 ", "");
    unlink(trace_path());
    RUN(.argv = {"hangup", "would-block"}, .env = {"RECVSHIM_EVENTS=all"});
    struct ring ring = read_receives(trace_path());
    cr_expect_str_eq(events_of(&ring), "w");
}

Test(disconnect, truncated_datagram)
{
    struct ring ring = check("truncated", "16/0 ", "R");
    cr_expect_eq(ring.records[0].result, 16);
    cr_expect_eq(ring.records[0].requested, 4);
}
