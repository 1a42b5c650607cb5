/* The deadline of a retried receive: SO_RCVTIMEO, counted from the call's entry, whatever happens meanwhile. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

TestSuite(deadline, .init = harness_begin, .fini = harness_end);

enum { TICK_US = 20000, FAR_US = 25000000 /* what a time-out that is not shortened, or not kept, comes to */ };

static struct recvshim_record only_record(void)
{
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 1);
    struct recvshim_record record = ring.records[0];
    free_ring(&ring);
    return record;
}

static void expect_expired(const struct finished *job, long long at_least_ms)
{
    cr_assert(exited_with(job, 0));
    cr_expect_eq(said(job, "result"), -1);
    cr_expect_eq(said(job, "errno"), EAGAIN);
    cr_expect_geq(said(job, "elapsed_us"), at_least_ms * 1000);
}

/* Woken for nothing, it goes on waiting, until its deadline. */
Test(deadline, another_thread_takes_the_data)
{
    struct finished job;
    UNTIL (said(&job, "taken") == 50) { /* the receiver may come first, on a machine that is busy */
        unlink(trace_path());
        job = RUN(.argv = {"deadlines", "way=taken", "timeout=1000", "tick=20000"}, .env = {"RECVSHIM_EVENTS=all"});
    }
    expect_expired(&job, 1000);
    cr_expect_eq(said(&job, "taken"), 50, "the test is none if the receiver came first");
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 51);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_WOULD_BLOCK), 1);
}

static struct finished changed(const char *timeout, const char *to, const char *send_after)
{
    struct finished job;
    UNTIL (said(&job, "in_time"))
        job = RUN(.argv = {"deadlines", "way=changed", "tick=20000", timeout, to, send_after});
    cr_expect_eq(said(&job, "in_time"), 1);
    return job;
}

/* By another thread, at the second tick: what is in force at an interruption counts. */
Test(deadline, made_longer_meanwhile)
{
    struct finished job = changed("timeout=1000", "to=1500", NULL);
    expect_expired(&job, 1500);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
}

Test(deadline, made_shorter_meanwhile)
{
    struct finished job = changed("timeout=30000", "to=300", NULL);
    expect_expired(&job, 300);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
}

Test(deadline, made_so_short_that_it_has_passed)
{
    struct finished job = changed("timeout=30000", "to=1", NULL);
    expect_expired(&job, 2 * TICK_US / 1000);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
}

Test(deadline, removed_meanwhile)
{
    struct finished job = changed("timeout=1000", "to=0", "send-after=60");
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "result"), 1, "it expired, errno %lld", said(&job, "errno"));
    cr_expect_geq(said(&job, "elapsed_us"), 1200000);
}

Test(deadline, set_meanwhile)
{
    struct finished job = changed("timeout=0", "to=300", NULL);
    expect_expired(&job, 300);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
}

Test(deadline, passes_while_stopped)
{
    struct finished job;
    UNTIL (said(&job, "in_time"))
        job = RUN(.argv = {"deadlines", "way=stopped", "timeout=1000", "for=1300"}, .native = true);
    cr_expect_eq(said(&job, "errno"), EINTR, "so the kernel does it");
    UNTIL (said(&job, "in_time")) {
        unlink(trace_path());
        job = RUN(.argv = {"deadlines", "way=stopped", "timeout=1000", "for=1300"}, .env = {"RECVSHIM_EVENTS=all"});
    }
    expect_expired(&job, 1300);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
    struct recvshim_record record = only_record();
    cr_expect_eq(record.event, RECVSHIM_EVENT_WOULD_BLOCK);
    cr_expect_eq(record.retries, 1);
}

/* In a retry: poll is restarted with what is left of its time. */
Test(deadline, passes_while_a_retry_is_stopped)
{
    struct finished job = RUN(.argv = {"deadlines", "way=stopped", "timeout=1000", "for=100", "tick=20000"},
                              .env = {"RECVSHIM_EVENTS=all"});
    expect_expired(&job, 1000);
    cr_expect_lt(said(&job, "elapsed_us"), FAR_US);
}

/* Many ticks around the expiry: it is EAGAIN each time, and never before its time. */
Test(deadline, expires_together_with_a_signal)
{
    static const char *const periods[] = {"tick=5000", "tick=1000", "tick=100"};
    for (size_t i = 0; i < 3; i++) {
        struct finished job = RUN(.argv = {"deadlines", "way=expiry", "timeout=5", "times=200", periods[i]});
        cr_assert(exited_with(&job, 0));
        cr_expect_eq(said(&job, "expired"), 200, "%s", periods[i]);
        cr_expect_eq(said(&job, "early"), 0, "%s", periods[i]);
        cr_expect_geq(said(&job, "ticks"), 100);
    }
}

/* MSG_WAITALL gathers up to TCP's urgent mark, and what follows is the next call's, as the kernel has it of a receive
 * that nothing interrupts. */
Test(deadline, gathering_stops_at_the_urgent_mark)
{
    NOT_UNDER_QEMU("a tick may come before the receive that it is to interrupt");
    static const char *const ways[][2] = {
        {"inline=0", "apart=0"}, {"inline=0", "apart=1"}, {"inline=1", "apart=0"}, {"inline=1", "apart=1"}};
    static const char *const keys[] = {"first", "at_mark", "second", "first_of_second"};
    for (size_t i = 0; i < 4; i++) {
        unlink(trace_path());
        struct finished native =
            RUN(.argv = {"deadlines", "way=urgent", "timeout=10000", ways[i][0], ways[i][1]}, .native = true);
        cr_assert(exited_with(&native, 0));
        cr_expect_eq(said(&native, "first"), 4);
        struct finished job =
            RUN(.argv = {"deadlines", "way=urgent", "timeout=10000", "tick=5000", ways[i][0], ways[i][1]});
        cr_assert(exited_with(&job, 0));
        for (size_t key = 0; key < 4; key++)
            cr_expect_eq(said(&job, keys[key]), said(&native, keys[key]), "%s %s, %s: %lld, natively %lld", ways[i][0],
                         ways[i][1], keys[key], said(&job, keys[key]), said(&native, keys[key]));
        struct ring ring = read_receives(trace_path());
        cr_assert_eq(ring.count, 2);
        cr_expect_geq(ring.records[0].retries, 1);
    }
}

/* An interruption that the policy lets pass ends a receive that has gathered something with what it has, as it does in
 * the kernel. */
Test(deadline, gathering_ends_where_the_policy_lets_it)
{
    static const struct {
        const char *eintr, *pass;
        long long result;
    } rows[] = {{"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=", 8},
                {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=", 3},
                {"RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS=", 3},
                {"RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS=", -1},
                {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=TERM", 3},
                {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=USR1", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unlink(trace_path());
        struct finished job =
            RUN(.argv = {"deadlines", "way=gathered", "timeout=60000"}, .env = {rows[i].eintr, rows[i].pass});
        cr_assert(exited_with(&job, 0));
        cr_expect_eq(said(&job, "result"), rows[i].result, "%s %s: %lld", rows[i].eintr, rows[i].pass,
                     said(&job, "result"));
        struct recvshim_record record = only_record();
        bool passed = (record.result_flags & RECVSHIM_RESULT_PASSED) != 0;
        cr_expect_eq(passed, rows[i].result < 0, "%s %s", rows[i].eintr, rows[i].pass);
    }
}

/* The length of the address is what one receive makes of it, however many there were: none, of a nameless peer. */
Test(deadline, gathering_gives_the_address_once)
{
    struct finished job = RUN(.argv = {"deadlines", "way=gathered", "timeout=60000", "from=1"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "result"), 8);
    cr_expect_eq(said(&job, "address_length"), 0);
}

/* What was gathered waits for the deadline at the longest, and a cancellation with it: without one it is returned. */
Test(deadline, gathering_ends_where_the_deadline_is_taken_away)
{
    struct finished job = RUN(.argv = {"deadlines", "way=gathered", "timeout=60000", "remove=1"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "result"), 3);
}

/* A retried receive that its deadline ends is recorded though would-block is not: it is where an interruption ended. */
Test(deadline, an_expiry_after_a_retry_is_recorded)
{
    RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "timeout-at=2"});
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].event, RECVSHIM_EVENT_WOULD_BLOCK);
    cr_expect_geq(ring.records[0].retries, 1);
    cr_expect_neq(ring.records[0].result_flags & RECVSHIM_RESULT_INTENT, 0);

    unlink(trace_path());
    RUN(.argv = {"interrupted", "tick=0", "timeout=120"});
    cr_expect_eq(read_receives(trace_path()).count, 0, "one that nothing interrupted is not");
    unlink(trace_path());
    RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "timeout-at=2"}, .env = {"RECVSHIM_EVENTS=receive"});
    cr_expect_eq(read_receives(trace_path()).count, 0, "and none where interruptions are not wanted");
}

/* Known or not, traced or not. The second tick, after 2 s, would end the wait at the latest. */
Test(deadline, of_a_connection_that_has_received_before)
{
    static const char *const traces[] = {NULL, "RECVSHIM_TRACE="};
    for (size_t i = 0; i < 2; i++) {
        struct finished job;
        UNTIL (said(&job, "ticks") > 0 && said(&job, "elapsed_us") < 1900000)
            job = RUN(.argv = {"interrupted", "tick=1000", "timeout=1100", "met=1"}, .env = {traces[i]});
        expect_expired(&job, 1100);
        cr_expect_lt(said(&job, "elapsed_us"), 1900000, "%lld us", said(&job, "elapsed_us"));
    }
}

/* The second tick, after 2 s, would end the wait at the latest. */
Test(deadline, another_preload_whose_waits_end_late)
{
    static const char *const orders[][2] = {{"lower_wait.so", NULL}, {NULL, "lower_wait.so"}};
    for (size_t i = 0; i < 2; i++) {
        struct finished job;
        UNTIL (said(&job, "ticks") > 0 && said(&job, "elapsed_us") < 1900000)
            job = RUN(.argv = {"interrupted", "tick=1000", "timeout=1100"}, .before = orders[i][0],
                      .after = orders[i][1]);
        cr_expect_eq(said(&job, "errno"), EAGAIN);
        cr_expect_geq(said(&job, "elapsed_us"), 1100000);
        cr_expect_lt(said(&job, "elapsed_us"), 1900000, "%lld us", said(&job, "elapsed_us"));
    }
}

/* Poll tells of what SO_PEEK_OFF has passed, and a receive answers EAGAIN. */
Test(deadline, what_was_peeked_at_does_not_spin)
{
    NOT_UNDER_QEMU("it has no SO_PEEK_OFF");
    struct finished job;
    UNTIL (said(&job, "ticks") > 0 && said(&job, "cpu_us") < 125000)
        job = RUN(.argv = {"interrupted", "tick=50", "timeout=500", "ready=3", "peek=1", "peek-off=3", "length=3"});
    cr_expect_eq(said(&job, "errno"), EAGAIN);
    cr_expect_geq(said(&job, "elapsed_us"), 500000);
    cr_expect_lt(said(&job, "cpu_us"), 125000, "%lld us of CPU", said(&job, "cpu_us"));
}

/* The handler that should end the receive also makes the socket one that does not block. */
Test(deadline, a_passing_signal_comes_before_not_blocking)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "restart=1", "nonblock-at=3"});
    cr_expect_eq(said(&job, "errno"), EAGAIN);
    job = RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "restart-until=3", "nonblock-at=3"},
              .env = {"RECVSHIM_EINTR=intent"});
    cr_expect_eq(said(&job, "errno"), EINTR);
}
