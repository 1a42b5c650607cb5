/* What comes while a fault holds a receive up, or stands in its place: cancellation, signals, jumps, children. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

TestSuite(fault_waits, .init = harness_begin, .fini = harness_end);

static struct finished delayed(const char *way, const char *rule, const char *policy)
{
    char setting[128];
    snprintf(setting, sizeof setting, "RECVSHIM_FAULT=%s", rule);
    struct finished job = RUN(.argv = {"delayed", way}, .env = {setting, policy});
    cr_assert(exited_with(&job, 0), "%s", job.err);
    return job;
}

/* A receive that is delayed, or fails, or ends at once, is a cancellation point as every receive is. */
Test(fault_waits, cancellation_is_prompt_and_loses_nothing)
{
    static const char *const rules[] = {"*:delay=100s:when=1", "*:error=EIO:p=0.999999999", "*:eof:when=1"};
    static const char *const ways[] = {"cancel", "cancel-with-data"};
    for (int i = 0; i < 6; i++) {
        struct finished job = delayed(ways[i % 2], rules[i / 2], NULL);
        cr_expect_eq(said(&job, "cancelled"), 1);
        cr_expect_lt(said(&job, "elapsed"), 90000);
        if (i < 2)
            cr_expect_eq(said(&job, "left"), i % 2);
    }
}

/* As the handler would have interrupted the receive itself. */
Test(fault_waits, a_delay_ends_by_what_would_have_ended_the_receive)
{
    static const struct {
        const char *way, *policy;
        bool ends;
    } rows[] = {
        {"alarmed", "RECVSHIM_EINTR=always", false},
        {"alarmed", "RECVSHIM_EINTR=intent", true},
        {"alarmed", "RECVSHIM_EINTR=restart", true},
        {"alarmed", "RECVSHIM_EINTR=never", true},
        {"alarmed", "RECVSHIM_EINTR_PASS=ALRM", true},
        {"alarmed-with-restart", "RECVSHIM_EINTR=always", false},
        {"alarmed-with-restart", "RECVSHIM_EINTR=intent", false},
        {"alarmed-with-restart", "RECVSHIM_EINTR=restart", false},
        {"alarmed-with-restart", "RECVSHIM_EINTR=never", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct finished job;
        UNTIL (said(&job, "handled") == 1) /* while it was delayed */
            job = delayed(rows[i].way, rows[i].ends ? "*:delay=100s" : "*:delay=300ms", rows[i].policy);
        cr_expect_eq(said(&job, "handled"), 1);
        cr_expect_eq(said(&job, "result"), rows[i].ends ? -1 : 1, "%s, %s", rows[i].way, rows[i].policy);
        cr_expect_eq(said(&job, "errno"), rows[i].ends ? EINTR : 0);
        cr_expect(rows[i].ends ? said(&job, "elapsed") < 90000 : said(&job, "elapsed") >= 300, "%s, %s: %lld",
                  rows[i].way, rows[i].policy, said(&job, "elapsed"));
    }
}

Test(fault_waits, a_handler_may_jump_out_of_a_delay)
{
    struct finished job = delayed("jump", "*:delay=100s:when=1", NULL);
    cr_expect_lt(said(&job, "elapsed"), 90000);
    cr_expect_eq(said(&job, "result"), 1);
}

Test(fault_waits, a_receive_that_is_not_made_leaves_nothing_behind)
{
    struct finished job = delayed("cancel-type", "*:error=EIO", NULL);
    cr_expect_eq(said(&job, "deferred"), 1);
}

Test(fault_waits, the_error_queue_has_no_end)
{
    struct finished job = delayed("error-queue", "*:eof", NULL);
    cr_expect(said(&job, "first") == 0 && said(&job, "last") == 0);
    cr_expect(said(&job, "queue") == -1 && said(&job, "errno") == EAGAIN);
}

/* No signal is blamed for what was made up. */
Test(fault_waits, made_up_interruptions_have_no_signal)
{
    struct finished job = delayed("handled-elsewhere", "*:interrupt=2", NULL);
    cr_expect_eq(said(&job, "result"), 1);
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].retries, 2);
    cr_expect_eq(ring.records[0].result_flags &
                     (RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT),
                 0);
    free_ring(&ring);
}

Test(fault_waits, a_drop_is_interrupted_as_the_receive_would_be)
{
    static const char *const policies[] = {"RECVSHIM_EINTR=never", "RECVSHIM_EINTR=restart", "RECVSHIM_EINTR=intent"};
    for (size_t i = 0; i < 3; i++) {
        struct finished job = delayed("alarmed-behind-a-drop", "*:drop", policies[i]);
        cr_expect(said(&job, "result") == -1 && said(&job, "errno") == EINTR, "%s", policies[i]);
        cr_expect_lt(said(&job, "elapsed"), 90000);
    }
}

/* It has its parent's memory, and nothing of its parent's counts. */
Test(fault_waits, children_of_vfork_are_left_alone)
{
    NOT_UNDER_QEMU("vfork is a fork");
    struct finished job = delayed("vforked", "*:error=EIO:when=1", NULL);
    cr_expect_eq(said(&job, "child"), 1);
    cr_expect_eq(said(&job, "parent"), -1);
}
