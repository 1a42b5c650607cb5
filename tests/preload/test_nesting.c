/* Other preloads, tight places and late moments. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

TestSuite(nesting, .init = harness_begin, .fini = harness_end);

/* Constructors run from the last preload to the first. One that stands before ours in the list runs after it, and its
 * calls are traced; one that stands after ours runs first, and its calls work untraced. */
Test(nesting, another_constructor_receives_after_ours)
{
    struct finished job = RUN(.argv = {"calls"}, .before = "lower_early.so");
    cr_assert(exited_with(&job, 3));
    cr_expect_eq(said(&job, "early"), 5);
    cr_expect_eq(said(&job, "early_copy"), 1);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 8 + 5);
}

Test(nesting, another_constructor_receives_before_ours)
{
    struct finished job = RUN(.argv = {"calls"}, .after = "lower_early.so");
    cr_assert(exited_with(&job, 3));
    cr_expect_eq(said(&job, "early"), 5);
    cr_expect_eq(said(&job, "early_copy"), 1);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 8);
}

/* It asked for its errno while there was nothing yet to tell where libc keeps a thread's id. */
Test(nesting, a_thread_that_receives_since_before_ours)
{
    struct finished job = RUN(.argv = {"calls"}, .after = "lower_early_thread.so");
    cr_assert(exited_with(&job, 3), "status %#x", (unsigned)job.status);
    cr_expect_eq(said(&job, "early_received"), 1);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 8 + 1);
    const struct recvshim_record *early = &ring.records[8];
    cr_expect_eq(early->fd, said(&job, "early_fd"));
    cr_expect_eq(early->pid, (uint32_t)job.pid);
    cr_expect_neq(early->tid, (uint32_t)job.pid);
    cr_expect_neq(early->connection, 0);
    for (long long i = 0; i < 8; i++)
        cr_expect_neq(early->connection, ring.records[i].connection, "an id from before the trace is not of the trace");
}

static void check_allocator(const char *before, const char *after)
{
    unlink(trace_path());
    struct finished job = RUN(.argv = {"late"}, .before = before, .after = after);
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_RECEIVE), 3);
    cr_expect_gt(count_events(&ring, RECVSHIM_EVENT_ERROR), 0, "the allocator's own receives");
}

Test(nesting, an_allocator_that_receives)
{
    check_allocator("lower_malloc.so", NULL);
    check_allocator(NULL, "lower_malloc.so");
    check_allocator("lower_malloc.so", "lower_dlsym.so");
}

Test(nesting, smallest_stack)
{
    static const char *const faults[] = {"RECVSHIM_FAULT=", "RECVSHIM_FAULT=*:interrupt=1;*:delay=1us"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"small_stack", "interrupted=1"},
                                  .env = {"RECVSHIM_CALLS=all", "RECVSHIM_EINTR_PASS=USR1", faults[i]});
        cr_assert(exited_with(&job, 0), "%#x: %s", (unsigned)job.status, job.err);
        cr_expect_eq(said(&job, "received"), 13);
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_expect_eq(ring.count, 14, "%lld", ring.count);
        cr_expect_geq(retries_of(&ring), 1);
    }
}

Test(nesting, receives_at_the_end)
{
    struct finished job = RUN(.argv = {"late"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "of_thread") + said(&job, "at_exit") + said(&job, "of_program"), 3);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 3);
}

Test(nesting, leaves_no_trace_in_the_process)
{
    struct finished native = RUN(.argv = {"footprint"}, .native = true);
    struct finished job = RUN(.argv = {"footprint"});
    cr_assert(exited_with(&job, 0));
    cr_expect(strstr(native.out, "/proc/self/task self\n") != NULL, "%s", native.out);
    cr_expect_str_eq(job.out, native.out);
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.count, 3);
}

Test(nesting, seccomp_filter)
{
    struct finished job = RUN(.argv = {"filtered"}, .env = {"RECVSHIM_EVENTS=all"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "received"), 100);
    cr_expect_eq(said(&job, "eof"), 0);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 102);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_WOULD_BLOCK), 1);
}

/* Where the kernel leaves no word of the CPU, it is not asked for it either. */
Test(nesting, seccomp_filter_without_rseq)
{
    struct finished job =
        RUN(.argv = {"filtered"}, .env = {"RECVSHIM_EVENTS=all", "GLIBC_TUNABLES=glibc.pthread.rseq=0"});
    cr_assert(exited_with(&job, 0), "%#x", (unsigned)job.status);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 102);
}

/* Who the child is would be asked with its first receive, which the filter does not expect either. */
Test(nesting, seccomp_filter_in_a_child)
{
    struct finished job = RUN(.argv = {"filtered", "fork=1"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "received"), 100);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 101);
}

/* At the end of a TCP connection its state would be looked up, which the filter does not expect: not once it is
 * announced, unless the user insists. That the last is killed proves that the first had something to leave out. */
Test(nesting, seccomp_filter_ends_the_look_ups)
{
    struct finished job = RUN(.argv = {"filtered", "tcp=1"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
    for (long long i = 0; i < ring.count; i++)
        cr_expect_eq(ring.records[i].result_flags & RECVSHIM_RESULT_TCP, 0);

    job = RUN(.argv = {"filtered", "tcp=1", "seccomp=1"});
    cr_expect(exited_with(&job, 0));
    job = RUN(.argv = {"filtered", "tcp=1"}, .env = {"RECVSHIM_LOOKUP=on"});
    cr_expect(killed_by(&job, SIGSYS));
    job = RUN(.argv = {"filtered", "tcp=1"}, .env = {"RECVSHIM_LOOKUP=off"});
    cr_expect(exited_with(&job, 0));
}

/* No filter follows: the state of the connection is looked up at its end. */
Test(nesting, seccomp_that_is_only_tried)
{
    struct finished native = RUN(.argv = {"filtered", "tcp=1", "tried=1"}, .native = true);
    struct finished job = RUN(.argv = {"filtered", "tcp=1", "tried=1"});
    cr_assert(exited_with(&job, 0));
    cr_expect_str_eq(job.out, native.out, "%s", job.out);
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_DISCONNECT)
            cr_expect(ring.records[i].result_flags & RECVSHIM_RESULT_TCP);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
}

Test(nesting, seccomp_filter_and_a_new_thread)
{
    struct finished job = RUN(.argv = {"filtered", "thread=1"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "in_thread"), 50);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 151);
}
