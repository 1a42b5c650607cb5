/* What the record of an interrupted receive says of the signals. */
#include "harness.h"

#include "trace/signal_names.h"
#include "trace/trace_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(explained, .init = harness_begin, .fini = harness_end);

enum {
    ALL_FLAGS = RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_PASSED | RECVSHIM_RESULT_INTENT
};

static struct ring interrupted(const char *policy, const char *pass, const char *timeout, const char *restart)
{
    RUN(.argv = {"interrupted", "tick=20", "send-at=3", timeout, restart}, .env = {policy, pass});
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 1);
    return ring;
}

/* The handler restarts or not, the socket has a time-out or not; who says what of it. */
Test(explained, by_policy)
{
    static const struct {
        const char *policy, *pass, *timeout, *restart;
        enum recvshim_event event;
        int flags;
        bool named;
    } rows[] = {
        {"always", "", "timeout=0", NULL, RECVSHIM_EVENT_RECEIVE, RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT,
         true},
        {"always", "", "timeout=60000", NULL, RECVSHIM_EVENT_RECEIVE,
         RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT, true},
        {"always", "", "timeout=60000", "restart=1", RECVSHIM_EVENT_RECEIVE, RECVSHIM_RESULT_CANDIDATES, true},
        /* the kernel restarts it: there is nothing to tell */
        {"always", "", "timeout=0", "restart=1", RECVSHIM_EVENT_RECEIVE, 0, false},
        {"intent", "", "timeout=60000", "restart=1", RECVSHIM_EVENT_RECEIVE, RECVSHIM_RESULT_SIGNALS, true},
        {"intent", "", "timeout=0", NULL, RECVSHIM_EVENT_INTERRUPTED, RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_PASSED,
         true},
        {"restart", "", "timeout=0", NULL, RECVSHIM_EVENT_INTERRUPTED, RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_PASSED,
         true},
        {"always", "ALRM", "timeout=0", NULL, RECVSHIM_EVENT_INTERRUPTED,
         RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_PASSED, true},
        {"always", "TERM", "timeout=0", NULL, RECVSHIM_EVENT_RECEIVE,
         RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT, true},
        {"never", "", "timeout=0", NULL, RECVSHIM_EVENT_INTERRUPTED,
         RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_PASSED, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char policy[64], pass[64];
        snprintf(policy, sizeof policy, "RECVSHIM_EINTR=%s", rows[i].policy);
        snprintf(pass, sizeof pass, "RECVSHIM_EINTR_PASS=%s", rows[i].pass);
        unlink(trace_path());
        struct ring ring = interrupted(policy, pass, rows[i].timeout, rows[i].restart);
        const struct recvshim_record *record = &ring.records[0];
        cr_expect_eq(record->event, rows[i].event, "row %zu", i);
        cr_expect_eq(record->result_flags & ALL_FLAGS, rows[i].flags, "row %zu: %x", i, record->result_flags);
        cr_expect_eq(record->signals, rows[i].named ? signal_bit(SIGALRM) : 0, "row %zu", i);
    }
}

/* No handler at all, and a time-out: only SIGSTOP and SIGCONT do that. */
Test(explained, stop_and_continue)
{
    RUN(.argv = {"stopped", "timeout=60000", "send=1"});
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].retries, 1);
    cr_expect_eq(ring.records[0].result_flags & ALL_FLAGS, RECVSHIM_RESULT_CANDIDATES);
    cr_expect_eq(ring.records[0].signals, 0);
}

/* A receive that could not be retried was not let pass. */
Test(explained, cannot_be_retried)
{
    RUN(.argv = {"interrupted", "tick=20", "timeout=60000", "waitall=1", "peek=1"});
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].event, RECVSHIM_EVENT_INTERRUPTED);
    cr_expect_eq(ring.records[0].result_flags & ALL_FLAGS, RECVSHIM_RESULT_CANDIDATES);
}

/* The signals lie where the end of a long local address would: that comes with the next record then. */
Test(explained, the_local_address_waits)
{
    static const char *const kinds[] = {"tcp=0", "tcp=1"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"first6", kinds[i]});
        cr_expect_eq(said(&job, "first"), 1);
        struct ring ring = read_receives(trace_path());
        cr_assert_eq(ring.count, 2);
        cr_expect_eq(ring.records[0].result_flags & (ALL_FLAGS | RECVSHIM_RESULT_LOCAL),
                     RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT);
        cr_expect_eq(ring.records[0].signals, signal_bit(SIGALRM));
        cr_expect_eq(ring.records[0].local_port, said(&job, "port"));
        cr_expect_eq(ring.records[1].result_flags & (ALL_FLAGS | RECVSHIM_RESULT_LOCAL), RECVSHIM_RESULT_LOCAL);
        cr_expect_eq(ring.records[1].retries, 0);
        cr_expect_arr_eq(ring.records[1].local_address, &in6addr_loopback, sizeof in6addr_loopback);
        free_ring(&ring);
    }
}

/* Under a filter nothing is asked: not what the time-out is, so that what may have one stays interrupted. */
Test(explained, under_a_filter_nothing_is_asked)
{
    static const struct {
        const char *policy, *timeout;
        int result, error;
        int flags;
    } rows[] = {
        {"RECVSHIM_EINTR=always", "timeout=0", 1, 0, RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_INTENT},
        {"RECVSHIM_EINTR=always", "timeout=60000", -1, EINTR, RECVSHIM_RESULT_CANDIDATES},
        {"RECVSHIM_EINTR=intent", "timeout=0", -1, EINTR, RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_PASSED},
        {"RECVSHIM_EINTR=intent", "timeout=60000", -1, EINTR, RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_PASSED},
        {"RECVSHIM_EINTR=never", "timeout=0", -1, EINTR, RECVSHIM_RESULT_CANDIDATES | RECVSHIM_RESULT_PASSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"locked_in", rows[i].timeout}, .env = {rows[i].policy});
        cr_assert(exited_with(&job, 0), "row %zu: killed", i);
        cr_expect_eq(said(&job, "result"), rows[i].result, "row %zu", i);
        cr_expect_eq(said(&job, "errno"), rows[i].error, "row %zu", i);
        struct ring ring = read_receives(trace_path());
        cr_assert_eq(ring.count, 1, "row %zu", i);
        cr_expect_eq(ring.records[0].result_flags & ALL_FLAGS, rows[i].flags, "row %zu", i);
        cr_expect_eq(ring.records[0].signals, signal_bit(SIGALRM), "row %zu", i);
    }
}

/* The retry must know of the filter where nothing is traced, too. */
Test(explained, under_a_filter_without_a_trace)
{
    static const char *const ways[] = {"by=prctl", "by=syscall", "by=seccomp"};
    for (size_t i = 0; i < 3; i++) {
        struct finished job = RUN(.argv = {"locked_in", "timeout=60000", ways[i]}, .env = {"RECVSHIM_TRACE="});
        cr_assert(exited_with(&job, 0), "%s", ways[i]);
        cr_expect_eq(said(&job, "errno"), EINTR);
    }
}

/* Where handlers are wrapped, one that did not run is no candidate. */
Test(explained, stop_and_continue_beside_a_handler)
{
    RUN(.argv = {"stopped", "timeout=60000", "send=1", "handler=1"}, .env = {"RECVSHIM_EINTR=intent"});
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].result_flags & ALL_FLAGS, RECVSHIM_RESULT_CANDIDATES);
    cr_expect_eq(ring.records[0].signals, 0);

    unlink(trace_path());
    RUN(.argv = {"stopped", "timeout=60000", "send=1", "handler=1"});
    ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_eq(ring.records[0].signals, signal_bit(SIGTERM));
}

/* A receive that goes on waiting against the program's intent may never have a record: it is told at once. */
Test(explained, told_while_it_waits)
{
    struct running job = start(&(struct job){.argv = {"interrupted", "tick=20"}});
    struct trace trace;
    while (trace_open(trace_path(), TRACE_READ, &trace).what != NULL)
        usleep(1000);
    while (atomic_load_explicit(&trace.counters->overruled, memory_order_acquire) == 0)
        usleep(1000);
    cr_expect_eq(trace.counters->overruled_signals, signal_bit(SIGALRM));
    kill(job.pid, SIGKILL);
    struct finished end = finish(job);
    cr_expect(killed_by(&end, SIGKILL));
    cr_expect_eq(trace.counters->overruled, 1, "once a receive");
    cr_expect_eq(trace.counters->overruled_ended, 0);
    trace_close(&trace);
    unlink(trace_path());

    static const char *const policies[] = {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR=intent"};
    for (unsigned int i = 0; i < 2; i++) {
        RUN(.argv = {"interrupted", "tick=5", "send-at=5"}, .env = {policies[i]});
        cr_assert_null(trace_open(trace_path(), TRACE_READ, &trace).what);
        cr_expect_eq(trace.counters->overruled, 1 - i);
        cr_expect_eq(trace.counters->overruled_ended, 1 - i);
        trace_close(&trace);
        unlink(trace_path());
    }
}
