/* SEMANTICS.md, "When a receive is interrupted", on live sockets. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(retry_live, .init = harness_begin, .fini = harness_end);

enum { TICK_US = 50000, TIMEOUT_US = 500000, ATTEMPTS = 10 };

static struct ring only_record(const struct finished *job, int64_t result, int error, enum recvshim_event event)
{
    cr_expect(exited_with(job, 0));
    cr_expect_eq(said(job, "result"), result);
    cr_expect_eq(said(job, "errno"), error);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].result, result);
    cr_expect_eq(ring.records[0].error, error);
    cr_expect_eq(ring.records[0].event, event);
    return ring;
}

/* A victim whose receive is to be over within TIMEOUT_US of a tick (what the victim calls the time at which it came),
 * which it would not be were its time-out counted from that tick; with so many ticks at least. What else runs here can
 * delay it as much, or keep the ticks from it, but not each time. */
static struct finished timely(const struct job *job, const char *tick, long long ticks)
{
    struct finished done;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        unlink(trace_path());
        done = finish(start(job));
        cr_assert_geq(said(&done, "elapsed_us"), TIMEOUT_US, "not before its time");
        if (said(&done, "ticks") >= ticks && said(&done, "elapsed_us") < said(&done, tick) + TIMEOUT_US)
            return done;
    }
    cr_assert_fail("each time it takes as long as this: %s", done.out);
    return done;
}

/* Ticks far from each other, so that a busy machine does not make one of them of what it adds. */
static void check_deadline(const char *socket, const char *more)
{
    struct finished job = timely(
        &(struct job){.argv = {"interrupted", "tick=200", "timeout=500", socket, more}, .env = {"RECVSHIM_EVENTS=all"}},
        "first_tick_us", 2);
    struct ring ring = only_record(&job, -1, EAGAIN, RECVSHIM_EVENT_WOULD_BLOCK);
    /* The last tick may have come together with the end. */
    cr_expect_geq(ring.records[0].retries, said(&job, "ticks") - 1, "%u retries", ring.records[0].retries);
    cr_expect_geq(ring.records[0].retries, 1);
    cr_expect_leq(ring.records[0].retries, said(&job, "ticks"));
}

Test(retry_live, deadline_of_a_socket_made_here)
{
    check_deadline("socket=pair", NULL);
}

Test(retry_live, deadline_of_an_inherited_socket)
{
    NOT_UNDER_QEMU("it runs no program of its machine by exec");
    check_deadline("socket=inherited", NULL);
}

Test(retry_live, deadline_inherited_from_the_listener)
{
    check_deadline("socket=accepted", NULL);
}

Test(retry_live, deadline_set_through_a_duplicate)
{
    check_deadline("socket=dup", NULL);
}

/* By another process that has the socket, too: nothing that this one does tells of it. */
Test(retry_live, deadline_set_by_another_process)
{
    /* Counted from the first interruption, at which it is learnt. */
    struct finished job = timely(&(struct job){.argv = {"interrupted", "tick=200", "timeout=500", "socket=shared"},
                                               .env = {"RECVSHIM_EVENTS=all"}},
                                 "second_tick_us", 2);
    only_record(&job, -1, EAGAIN, RECVSHIM_EVENT_WOULD_BLOCK);
}

/* At the third interruption, the second of the retry; counted from there, as nothing was known of it at entry. */
Test(retry_live, deadline_set_meanwhile)
{
    struct finished job =
        RUN(.argv = {"interrupted", "tick=50", "timeout-at=3", "send-at=60"}, .env = {"RECVSHIM_EVENTS=all"});
    only_record(&job, -1, EAGAIN, RECVSHIM_EVENT_WOULD_BLOCK);
    cr_expect_geq(said(&job, "elapsed_us"), 2 * TICK_US + TIMEOUT_US);
}

/* By a handler, at the first interruption and within the retry: the next call does not wait. */
Test(retry_live, made_nonblocking_meanwhile)
{
    static const char *const ways[][2] = {
        {"nonblock-at=1", "timeout=0"}, {"nonblock-at=1", "timeout=60000"}, {"nonblock-at=3", "timeout=60000"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"interrupted", "tick=50", "send-at=20", ways[i][0], ways[i][1]},
                                  .env = {"RECVSHIM_EVENTS=all"});
        only_record(&job, -1, EAGAIN, RECVSHIM_EVENT_WOULD_BLOCK);
    }
}

/* The kernel restarts a receive for SA_RESTART, but not one with SO_RCVTIMEO. */
Test(retry_live, deadline_under_a_restarting_handler)
{
    check_deadline("socket=pair", "restart=1");
}

Test(retry_live, never_gives_eintr_at_the_first_tick)
{
    static const char *const timeouts[] = {"timeout=0", "timeout=60000"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"interrupted", "tick=50", timeouts[i]}, .env = {"RECVSHIM_EINTR=never"});
        struct ring ring = only_record(&job, -1, EINTR, RECVSHIM_EVENT_INTERRUPTED);
        cr_expect_eq(ring.records[0].retries, 0);
        cr_expect_eq(said(&job, "ticks"), 1);
        cr_expect_geq(said(&job, "elapsed_us"), TICK_US);
    }
}

Test(retry_live, a_native_receive_is_interrupted)
{
    /* What the tests above stand on: without the library this is what happens. */
    struct finished job = RUN(.argv = {"interrupted", "tick=10"}, .native = true);
    cr_expect_eq(said(&job, "errno"), EINTR);
    job = RUN(.argv = {"interrupted", "tick=10", "restart=1", "timeout=60000"}, .native = true);
    cr_expect_eq(said(&job, "errno"), EINTR);
}

Test(retry_live, always_waits_for_the_data)
{
    static const char *const timeouts[] = {"timeout=0", "timeout=60000"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"interrupted", "tick=5", "send-at=10", timeouts[i]});
        struct ring ring = only_record(&job, 1, 0, RECVSHIM_EVENT_RECEIVE);
        cr_expect_geq(said(&job, "ticks"), 10);
        cr_expect_geq(ring.records[0].retries, 8, "%u retries", ring.records[0].retries);
    }
}

Test(retry_live, the_kernel_restarts_without_us)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=5", "restart=1", "send-at=10"});
    struct ring ring = only_record(&job, 1, 0, RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(ring.records[0].retries, 0, "there was nothing to absorb");
}

Test(retry_live, stop_and_continue)
{
    struct finished job = RUN(.argv = {"stopped", "timeout=60000"}, .native = true);
    cr_expect_eq(said(&job, "errno"), EINTR, "so the kernel does it");

    /* Until it was stopped before its time was over. */
    int attempt = 0;
    do {
        unlink(trace_path());
        job = RUN(.argv = {"stopped", "timeout=500"}, .env = {"RECVSHIM_EVENTS=all"});
    } while (said(&job, "stopped") == 0 && ++attempt < ATTEMPTS);
    struct ring ring = only_record(&job, -1, EAGAIN, RECVSHIM_EVENT_WOULD_BLOCK);
    cr_expect_geq(said(&job, "elapsed_us"), TIMEOUT_US);
    cr_expect_eq(ring.records[0].retries, 1);

    unlink(trace_path());
    job = RUN(.argv = {"stopped", "timeout=60000", "send=1"});
    only_record(&job, 1, 0, RECVSHIM_EVENT_RECEIVE);
}

/* Some data was there, and more did not come: a partial count is no interruption. */
Test(retry_live, waitall_partial_count_stays)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=50", "waitall=1", "length=10", "ready=4"});
    struct ring ring = only_record(&job, 4, 0, RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(ring.records[0].retries, 0);
}

Test(retry_live, waitall_gathers_until_full)
{
    struct finished job =
        RUN(.argv = {"interrupted", "tick=5", "timeout=60000", "waitall=1", "length=10", "send-at=5", "bytes=10"});
    struct ring ring = only_record(&job, 10, 0, RECVSHIM_EVENT_RECEIVE);
    cr_expect_geq(ring.records[0].retries, 3);
}

/* Without an address the kernel does not look at its length. */
Test(retry_live, waitall_gathers_without_an_address)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=5", "timeout=60000", "waitall=1", "length=10", "send-at=5",
                                       "bytes=10", "no-address=1"});
    only_record(&job, 10, 0, RECVSHIM_EVENT_RECEIVE);
}

Test(retry_live, waitall_gathers_until_the_deadline)
{
    struct finished job = timely(&(struct job){.argv = {"interrupted", "tick=80", "timeout=500", "waitall=1",
                                                        "length=10", "send-at=2", "bytes=2"}},
                                 "first_tick_us", 4);
    only_record(&job, 2, 0, RECVSHIM_EVENT_RECEIVE);
}

/* What cannot be put together from several receives is left to the program. */
Test(retry_live, exempt_from_the_deadline)
{
    static const char *const exempt[][2] = {{"peek=1", "waitall=1"}, {"lowat=8", "waitall=0"}};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job =
            RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "length=10", exempt[i][0], exempt[i][1]});
        only_record(&job, -1, EINTR, RECVSHIM_EVENT_INTERRUPTED);
    }
}

/* Programs that lock themselves in set RLIMIT_NOFILE to 0, and a retry that cannot wait must not spin in its place. */
Test(retry_live, left_interrupted_where_poll_is_refused)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=50", "timeout=60000", "no-poll=1"});
    struct ring ring = only_record(&job, -1, EINTR, RECVSHIM_EVENT_INTERRUPTED);
    cr_expect_eq(ring.records[0].retries, 0);
    cr_expect_eq(said(&job, "ticks"), 1);

    unlink(trace_path());
    job = RUN(.argv = {"interrupted", "tick=50", "timeout=0", "send-at=3", "no-poll=1"});
    only_record(&job, 1, 0, RECVSHIM_EVENT_RECEIVE);
}

/* poll answers POLLERR at once for as long as the error queue holds something, and a receive EAGAIN: there is an
 * attempt a millisecond, and one more at each tick. */
Test(retry_live, a_full_error_queue_does_not_spin)
{
    enum { WAIT_MS = 300, WITHOUT_WAIT = 5 /* the refusal, its two first, and about the end */ };
    struct finished job;
    int attempt = 0;
    do
        job = RUN(.argv = {"poll_error", "timeout=300", "tick=20"}, .after = "lower_recv.so");
    while (said(&job, "ticks") == 0 && ++attempt < ATTEMPTS);
    cr_expect_eq(said(&job, "errno"), EAGAIN);
    cr_expect_geq(said(&job, "elapsed_us"), WAIT_MS * 1000);
    cr_expect_gt(said(&job, "lower_receives"), WITHOUT_WAIT);
    cr_expect_leq(said(&job, "lower_receives"), WAIT_MS + said(&job, "ticks") + WITHOUT_WAIT, "%s", job.out);
}

/* RECVSHIM_TEST_MEGABYTES=1024 is the full form. */
Test(retry_live, ten_thousand_signals_a_second)
{
    char size[64];
    const char *megabytes = getenv("RECVSHIM_TEST_MEGABYTES");
    snprintf(size, sizeof size, "megabytes=%s", megabytes != NULL ? megabytes : "64");
    struct finished job = RUN(.argv = {"storm", size}, .env = {"RECVSHIM_SIZE=64M"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "bytes"), said(&job, "expected"));
    cr_expect_eq(said(&job, "wrong"), 0);
    cr_expect_eq(said(&job, "interrupted"), 0);
    cr_expect_gt(said(&job, "signals"), 100);

    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_gt(retries_of(&ring), 0);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_INTERRUPTED), 0);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_ERROR), 0);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
    long long bytes = 0;
    for (long long i = 0; i < ring.count; i++)
        bytes += ring.records[i].result;
    cr_expect_eq(bytes, said(&job, "bytes"));
}
