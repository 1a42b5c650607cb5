/* How C programs count on EINTR: what `always` takes from them, and that each remedy gives it back. */
#include "harness.h"

#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

TestSuite(eintr_idioms, .init = harness_begin, .fini = harness_end);

static const char *const remedies[][2] = {
    {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=TERM,ALRM"},
};
enum { REMEDIES = sizeof remedies / sizeof remedies[0] };

static struct recvshim_record first_record(const struct finished *job)
{
    cr_assert(exited_with(job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_geq(ring.count, 1);
    struct recvshim_record record = ring.records[0];
    free_ring(&ring);
    return record;
}

/* EINTR reached the program at the first signal, and the record says why. */
static void expect_passed(const struct finished *job, int signal, size_t remedy)
{
    struct recvshim_record record = first_record(job);
    cr_expect_eq(record.event, RECVSHIM_EVENT_INTERRUPTED, "%s %s", remedies[remedy][0], remedies[remedy][1]);
    cr_expect_eq(record.retries, 0);
    cr_expect_neq(record.result_flags & RECVSHIM_RESULT_PASSED, 0);
    cr_expect_eq(record.result_flags & RECVSHIM_RESULT_INTENT, 0, "it was not retried");
    cr_expect_eq(record.signals, signal_bit(signal), "%s %s: signals %#llx", remedies[remedy][0], remedies[remedy][1],
                 (unsigned long long)record.signals);
}

/* It was retried, and the record warns of it. */
static void expect_warning(const struct finished *job, int signal)
{
    struct recvshim_record record = first_record(job);
    cr_expect_eq(record.event, RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(record.retries, 1);
    unsigned of_signals = RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_PASSED;
    cr_expect_eq(record.result_flags & of_signals, RECVSHIM_RESULT_CANDIDATES, "flags %#x", record.result_flags);
    cr_expect_neq(record.result_flags & RECVSHIM_RESULT_INTENT, 0);
    cr_expect_eq(record.signals, signal_bit(signal), "signals %#llx", (unsigned long long)record.signals);
}

Test(eintr_idioms, an_alarm_as_a_time_out)
{
    struct finished job = RUN(.argv = {"alarm_timeout"}, .native = true);
    cr_assert_eq(said(&job, "timed_out"), 1, "so it is written");
    for (size_t i = 0; i < REMEDIES; i++) {
        unlink(trace_path());
        job = RUN(.argv = {"alarm_timeout"}, .env = {remedies[i][0], remedies[i][1]});
        cr_expect_eq(said(&job, "timed_out"), 1, "%s %s", remedies[i][0], remedies[i][1]);
        expect_passed(&job, SIGALRM, i);
    }
}

Test(eintr_idioms, always_waits_past_the_alarm)
{
    struct finished job = RUN(.argv = {"alarm_timeout"});
    cr_expect_eq(said(&job, "timed_out"), 0);
    cr_expect_eq(said(&job, "result"), 4, "it has to wait for the late datagram");
    expect_warning(&job, SIGALRM);
}

Test(eintr_idioms, a_flag_set_by_SIGTERM)
{
    static const char *const timeouts[] = {"timeout=0", "timeout=60"};
    for (size_t t = 0; t < 2; t++) {
        struct finished job = RUN(.argv = {"term_flag", timeouts[t]}, .native = true);
        cr_assert_eq(said(&job, "bytes"), 0, "so it is written");
        for (size_t i = 0; i < REMEDIES; i++) {
            unlink(trace_path());
            job = RUN(.argv = {"term_flag", timeouts[t]}, .env = {remedies[i][0], remedies[i][1]});
            cr_expect_eq(said(&job, "bytes"), 0, "%s %s", remedies[i][0], remedies[i][1]);
            expect_passed(&job, SIGTERM, i);
        }
    }
}

Test(eintr_idioms, always_waits_past_the_flag)
{
    static const char *const timeouts[] = {"timeout=0", "timeout=60"};
    for (size_t t = 0; t < 2; t++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"term_flag", timeouts[t]});
        cr_expect_eq(said(&job, "bytes"), 1, "it saw the flag only after the next byte");
        expect_warning(&job, SIGTERM);
    }
}
