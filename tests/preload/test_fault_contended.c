/* Faults where others get in the way of the receive: what is injected hits what its rule names, as often as it says. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

TestSuite(fault_contended, .init = harness_begin, .fini = harness_end);

static struct finished contended(const char *way, const char *rule)
{
    char setting[128];
    snprintf(setting, sizeof setting, "RECVSHIM_FAULT=%s", rule);
    struct finished job = RUN(.argv = {"contended", way}, .env = {setting});
    cr_assert(exited_with(&job, 0), "%s", job.err);
    return job;
}

static long long faults(void)
{
    struct ring ring = read_trace(trace_path());
    long long count = count_events(&ring, RECVSHIM_EVENT_FAULT);
    free_ring(&ring);
    return count;
}

Test(fault_contended, no_more_is_dropped_than_the_rule_allows)
{
    struct finished job = contended("two-sockets", "*:drop:times=1");
    cr_expect_eq(said(&job, "lost"), 1);
    cr_expect_eq(faults(), 1);
}

/* Some of those that the rule names may get through: the thread that looked at one may be given another. */
Test(fault_contended, nothing_is_dropped_of_a_peer_that_the_rule_does_not_name)
{
    struct finished job = contended("two-peers", "*:drop:peer=127.0.0.2");
    cr_expect_eq(said(&job, "others"), said(&job, "sent"));
    cr_expect_lt(said(&job, "named"), said(&job, "sent"));
    cr_expect_eq(faults(), said(&job, "sent") - said(&job, "named"));
}

Test(fault_contended, nor_where_nothing_is_traced)
{
    struct finished job =
        RUN(.argv = {"contended", "two-peers"}, .env = {"RECVSHIM_TRACE=", "RECVSHIM_FAULT=*:drop:peer=127.0.0.2"});
    cr_expect_eq(said(&job, "others"), said(&job, "sent"));
    cr_expect_lt(said(&job, "named"), said(&job, "sent"));
}

Test(fault_contended, an_address_without_room_stays_so)
{
    struct finished job = contended("no-room", "*:drop:when=1");
    cr_expect(said(&job, "received") == 1 && said(&job, "room") == sizeof(struct sockaddr_in), "%s", job.out);
    cr_expect_eq(said(&job, "untouched"), 1);
}

Test(fault_contended, what_is_gone_is_gone_from_the_buffer)
{
    struct finished job = contended("no-trace-left", "*:truncate=3");
    cr_expect(said(&job, "received") == 3 && said(&job, "left") == 0, "%s", job.out);
    job = contended("no-trace-left", "*:drop");
    cr_expect(said(&job, "received") == -1 && said(&job, "left") == 0, "%s", job.out);
}

Test(fault_contended, who_waits_uses_nothing_up)
{
    struct finished job = contended("idle-elsewhere", "*:short=3:times=1");
    cr_expect_eq(said(&job, "received"), 3);
}

/* The rules were tried for what the number was: what it is by then they have nothing to do with. */
Test(fault_contended, a_new_connection_of_the_same_number_has_not_ended)
{
    struct finished job;
    UNTIL (said(&job, "in_time"))
        job = contended("reused", "recv:delay=1s;recv:eof:times=1");
    cr_expect_eq(said(&job, "in_time"), 1);
    cr_expect_eq(said(&job, "thread"), 1);
    cr_expect_eq(said(&job, "later"), 3);
}

Test(fault_contended, a_new_connection_of_the_same_number_counts_its_own_bytes)
{
    struct finished job = contended("reused-with-data", "*:error=EIO:after=100");
    cr_expect_eq(said(&job, "thread"), 500);
    cr_expect_eq(said(&job, "before"), 50);
    cr_expect_eq(said(&job, "next"), 60);
    cr_expect_eq(said(&job, "last"), -1);
}

/* Having looked at a datagram it has waited: what it still waits is the rest of one time-out. */
Test(fault_contended, a_look_is_part_of_the_time_out)
{
    struct finished job;
    /* 500 more, were it a whole one. */
    UNTIL (said(&job, "in_time") && said(&job, "elapsed") < 2450)
        job = contended("stolen", "*:delay=1s:peer=127.0.0.1");
    cr_expect_eq(said(&job, "in_time"), 1);
    cr_expect_eq(said(&job, "thread"), -1);
    cr_expect(said(&job, "elapsed") >= 1999 && said(&job, "elapsed") < 2450, "%lld", said(&job, "elapsed"));
}

Test(fault_contended, the_address_has_all_its_room_for_the_next_datagram)
{
    struct finished job = contended("two-names", "*:drop:when=1");
    cr_expect(said(&job, "received") == 1 && said(&job, "whole") == 1, "%s", job.out);
}

Test(fault_contended, no_first_receive_escapes)
{
    struct finished job = contended("first-receives", "*:error=EIO");
    cr_expect_eq(said(&job, "escaped"), 0);
}

/* A look at the source takes the socket's error off it: that then is what the call returns. */
Test(fault_contended, a_pending_error_is_not_lost)
{
    struct finished job = contended("pending-error", "*:error=EIO:port=9;*:error=EIO:times=1");
    char expected[64];
    snprintf(expected, sizeof expected, "seen -1/%d -1/%d\n", ECONNREFUSED, EIO);
    cr_expect_str_eq(job.out, expected);
}

/* Nothing was there to be cut: the rule still has its one injection. */
Test(fault_contended, what_has_no_effect_uses_nothing_up)
{
    char expected[64];
    snprintf(expected, sizeof expected, "seen -1/%d 5/0\n", EAGAIN);
    cr_expect_str_eq(contended("late-stream", "*:short=5:times=1").out, expected);
    cr_expect_str_eq(contended("late-datagram", "*:truncate=5:times=1").out, expected);
    cr_expect_eq(faults(), 2);
}

Test(fault_contended, interruptions_are_absorbed_whatever_the_socket)
{
    static const char *const policies[] = {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR=intent"};
    for (size_t i = 0; i < 2; i++) {
        struct finished job =
            RUN(.argv = {"contended", "exempt"}, .env = {"RECVSHIM_FAULT=*:interrupt=2", policies[i]});
        cr_expect(said(&job, "looked") == 8 && said(&job, "received") == 8, "%s", job.out);
    }
}

Test(fault_contended, corrupt_with_a_flag_that_means_nothing)
{
    struct finished job = contended("truncated", "*:corrupt=8");
    cr_expect(said(&job, "received") == 4 && said(&job, "intact") == 0);
}

/* Sleeping may be a call that the filter does not expect. */
Test(fault_contended, no_delay_under_a_filter)
{
    struct finished job = RUN(.argv = {"filtered"}, .env = {"RECVSHIM_FAULT=*:delay=1ms;*:short=1:p=0.5"});
    struct finished native = RUN(.argv = {"filtered"}, .native = true);
    cr_expect_eq(job.status, native.status);
}
