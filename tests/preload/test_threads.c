/* Threads, handlers, jumps and cancellations: every receive is in the trace or counted as lost. */
#include "harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(threads, .init = harness_begin, .fini = harness_end);

static long long records_of_tid(const struct ring *ring, long long tid)
{
    long long count = 0;
    for (long long i = 0; i < ring->count; i++)
        count += ring->records[i].tid == tid;
    return count;
}

static void check_threads(int threads)
{
    char argument[32], key[32];
    snprintf(argument, sizeof argument, "threads=%d", threads);
    struct finished job = RUN(.argv = {"threads", argument, "each=10000"}, .env = {RECEIVES_ONLY, "RECVSHIM_SIZE=64M"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.positions, threads * 10000LL);
    cr_expect_eq(ring.positions, ring.count + ring.dropped);
    cr_expect_eq(ring.dropped, 0, "%lld dropped in a ring with room for all", ring.dropped);
    for (int i = 0; i < threads; i++) {
        snprintf(key, sizeof key, "received%d", i);
        long long received = said(&job, key);
        cr_expect_eq(received, 10000);
        snprintf(key, sizeof key, "tid%d", i);
        cr_expect_eq(records_of_tid(&ring, said(&job, key)), received, "thread %d", i);
        snprintf(key, sizeof key, "fd%d", i);
        cr_expect_eq(bytes_of(&ring, (int)said(&job, key)), received, "thread %d", i);
    }
}

Test(threads, two)
{
    check_threads(2);
}

Test(threads, four)
{
    check_threads(4);
}

/* 16 KiB: 128 records. What is overwritten is what was given a position and is not there, to the record. */
Test(threads, overwriting_loses_the_oldest_exactly)
{
    struct finished job =
        RUN(.argv = {"threads", "threads=1", "each=10000"}, .env = {RECEIVES_ONLY, "RECVSHIM_SIZE=16K"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.dropped, 0);
    cr_expect_eq(ring.positions, 10000, "none is forgotten");
    cr_expect_eq(ring.slots, 128);
    cr_expect_leq(ring.count, 128);
    cr_expect_geq(ring.count, 128 / ring.header.shards, "a shard at least is full");
}

/* Read all the while the job runs: what is torn lies there for a lap only. Once so many were dropped path_of("over") is
 * made, which tells it to end. */
static struct finished watch(const struct job *job, long long enough_dropped)
{
    struct running running = start(job);
    struct pollfd output = {running.out, POLLIN, 0};
    while (access(trace_path(), F_OK) != 0 && poll(&output, 1, 0) == 0)
        ;
    while (poll(&output, 1, 0) == 0) {
        struct ring ring = read_trace(trace_path());
        cr_assert_eq(ring.torn, 0, "%lld records torn", ring.torn);
        if (ring.dropped >= enough_dropped)
            close(open(path_of("over"), O_WRONLY | O_CREAT, 0600));
        free_ring(&ring);
    }
    return finish(running);
}

Test(threads, overwriting_by_four_threads_tears_nothing)
{
    struct finished job = watch(
        &(struct job){.argv = {"threads", "threads=4", "each=100000"}, .env = {RECEIVES_ONLY, "RECVSHIM_SIZE=16K"}},
        LLONG_MAX);
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.positions, 400000);
    cr_expect_leq(ring.count, 128);
    for (long long i = 0; i < ring.count; i++)
        cr_expect(ring.records[i].result == 1 && ring.records[i].requested == 1);
}

Test(threads, stopping_counts_what_it_drops)
{
    struct finished job = RUN(.argv = {"threads", "threads=4", "each=1000"},
                              .env = {RECEIVES_ONLY, "RECVSHIM_SIZE=16K", "RECVSHIM_FULL=stop"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.positions, 4000);
    cr_expect_eq(ring.count + ring.dropped, 4000, "%lld records, %lld dropped", ring.count, ring.dropped);
    cr_expect_geq(ring.dropped, 4000 - 128);
}

/* A handler may find the slot that the interrupted store has claimed: in a ring of this size it comes round to it. */
Test(threads, receives_in_a_handler)
{
    static const char *const sizes[] = {"RECVSHIM_SIZE=64M", "RECVSHIM_SIZE=16K"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"in_handler", "handled=5000"}, .env = {RECEIVES_ONLY, sizes[i]});
        cr_assert(exited_with(&job, 0));
        struct ring ring = read_trace(trace_path());
        cr_expect_eq(ring.torn, 0);
        cr_expect_eq(ring.unfinished, 0);
        cr_expect_eq(ring.positions, said(&job, "main") + said(&job, "handler"));
        if (ring.positions > ring.slots / ring.header.shards)
            continue; /* lapped: some are overwritten */
        cr_expect_eq(ring.positions, ring.count + ring.dropped);
        cr_expect_eq(ring.dropped, 0);
        cr_expect_eq(bytes_of(&ring, (int)said(&job, "main_fd")), said(&job, "main"));
        cr_expect_eq(bytes_of(&ring, (int)said(&job, "handler_fd")), said(&job, "handler"));
    }
}

/* Two hundred receives at a tick lap this ring. Now and then a tick comes while a store has claimed a slot, which they
 * come upon: until that has been a few times. */
Test(threads, receives_in_a_handler_that_lap_the_ring)
{
    char until[256];
    snprintf(until, sizeof until, "until=%s", path_of("over"));
    struct finished job = watch(&(struct job){.argv = {"in_handler", "handled=1", "burst=200", until},
                                              .env = {RECEIVES_ONLY, "RECVSHIM_SIZE=16K"}},
                                5);
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.positions, said(&job, "main") + said(&job, "handler"));
    cr_expect_geq(ring.dropped, 5, "a handler gives way to the store that it interrupted");
}

static void check_jumps(const char *retried)
{
    struct finished job = RUN(.argv = {"jump", "times=10000", retried});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "jumped"), 10000);
    cr_expect_eq(said(&job, "returned"), 0);
    cr_expect_eq(said(&job, "received"), 10);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 10, "a call that was left is no record, and holds none back");
}

Test(threads, siglongjmp_out_of_a_receive)
{
    check_jumps("retried=0");
}

Test(threads, siglongjmp_out_of_a_retry)
{
    check_jumps("retried=1");
}

Test(threads, siglongjmp_out_of_a_gathering_retry)
{
    static const char *const ways[] = {"way=waiting", "way=flooded"};
    for (size_t i = 0; i < 2; i++) {
        struct finished job = RUN(.argv = {"jump_gathered", ways[i]});
        cr_assert(exited_with(&job, 0));
        cr_expect_eq(said(&job, "enabled"), said(&job, "times"), "cancellation, %s", ways[i]);
    }
}

static void check_cancellations(const char *times, const char *timeout, long long expected)
{
    struct finished job = RUN(.argv = {"cancel", times, timeout});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "cancelled"), expected);
    cr_expect_eq(said(&job, "cleaned"), expected);
    cr_expect_eq(said(&job, "returned"), 0);
    cr_expect_lt(said(&job, "slowest_us"), 20000000, "SO_RCVTIMEO, which it does not wait for, is a minute");
    cr_expect_eq(said(&job, "received"), 10);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 10);
}

Test(threads, cancelled_in_a_receive)
{
    check_cancellations("times=10000", "timeout=0", 10000);
}

Test(threads, cancelled_in_a_retry)
{
    check_cancellations("times=1000", "timeout=60", 1000);
}

/* The cancellation comes after the data was taken off the socket: none of it may be lost. */
Test(threads, cancellation_takes_no_data_along)
{
    struct finished job = RUN(.argv = {"cancel_late"}, .after = "lower_cancel.so");
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "data"), 3);
    cr_expect_eq(said(&job, "empty_packet"), 0);
    cr_expect_eq(said(&job, "seqpacket_eof"), 0);
    cr_expect_eq(said(&job, "gathered"), 5);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 4);
    cr_expect_eq(ring.records[3].result, 5);
    cr_expect_geq(ring.records[3].retries, 1);
}

/* By each call, idle and with all that can be asked and recorded. */
Test(threads, a_storm_of_cancellations_takes_no_data_along)
{
    static const char *const calls[] = {"call=recv",     "call=recvfrom", "call=recvmsg",
                                        "call=recvmmsg", "call=read",     "call=readv"};
    for (size_t i = 0; i < 2 * sizeof calls / sizeof calls[0]; i++) {
        const char *call = calls[i / 2], *trace = i % 2 == 0 ? "RECVSHIM_TRACE=" : "RECVSHIM_DURATION=on";
        unlink(trace_path());
        struct finished job =
            RUN(.argv = {"cancel_late", call}, .after = "lower_cancel.so", .env = {"RECVSHIM_CALLS=all", trace});
        cr_assert(exited_with(&job, 0), "%s, %s: %s", call, trace, job.err);
        cr_expect_eq(said(&job, "received"), said(&job, "sent"), "%s, %s", call, trace);
        cr_expect_eq(said(&job, "end"), 0, "%s, %s", call, trace);
        if (i % 2 == 0)
            continue;
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_expect_eq(ring.count, 201, "%s: %lld", call, ring.count);
    }
}
