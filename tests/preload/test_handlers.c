/* Handlers are wrapped where the policy or the pass list needs it, and no program can tell. */
#include "harness.h"

#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(handlers, .init = harness_begin, .fini = harness_end);

static const char *const settings[][2] = {
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS="},
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=TERM,USR1,CHLD,37"},
    {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=SEGV,ILL,SYS,BUS,USR2,64"},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* The first line in which two texts differ. */
static void expect_same(const char *native, const char *text, const char *where)
{
    const char *line = native, *other = text;
    while (*native != '\0' && *native == *text) {
        if (*native == '\n') {
            line = native + 1;
            other = text + 1;
        }
        native++;
        text++;
    }
    cr_expect(*native == *text, "%s: native \"%.*s\", here \"%.*s\"", where, (int)strcspn(line, "\n"), line,
              (int)strcspn(other, "\n"), other);
}

/* A victim says the same under every policy as it does natively. */
static void check_same(const char *victim, const char *way)
{
    struct finished native = RUN(.argv = {victim, way}, .native = true);
    cr_assert(exited_with(&native, 0), "%s", native.out);
    cr_assert_gt(lines_of(native.out), 0);
    for (size_t i = 0; i < SETTINGS; i++) {
        char where[128];
        snprintf(where, sizeof where, "%s %s, %s %s", victim, way != NULL ? way : "", settings[i][0], settings[i][1]);
        unlink(trace_path());
        struct finished job = RUN(.argv = {victim, way}, .env = {settings[i][0], settings[i][1]});
        cr_expect(exited_with(&job, 0), "%s", where);
        expect_same(native.out, job.out, where);
    }
}

static const char *const ways[][2] = {
    {"readback", "calls"},     {"readback", "sigset_of_error"},
    {"handlers", "running"},   {"handlers", "reset"},
    {"handlers", "nesting"},   {"handlers", "errno"},
    {"handlers", "replacing"}, {"handlers", "context"},
    {"handlers", "jumps"},     {"many_handlers", NULL},
    {"handler_races", NULL},   {"family", "fork"},
    {"family", "exec"},        {"family", "vfork"},
    {"family", "spawn"},
};

ROWS(handlers, run_as_they_do_natively, ways)
{
    check_same(ways[*index][0], ways[*index][1]);
}

/* What the texts above stand on: the victims find nothing wrong natively. */
Test(handlers, many_natively)
{
    struct finished job = RUN(.argv = {"many_handlers"}, .native = true);
    cr_expect_eq(said(&job, "handlers"), 2000);
    cr_expect_eq(said(&job, "wrong_at_last"), 0);
    job = RUN(.argv = {"handler_races"}, .native = true);
    cr_expect_eq(said(&job, "wrong"), 0);
    cr_expect_eq(said(&job, "ran"), 1);
}

/* A handler that was installed past libc is told by what cannot have interrupted: those with SA_RESTART. */
Test(handlers, installed_past_libc)
{
    static const struct {
        const char *policy;
        int error;
    } rows[] = {{"RECVSHIM_EINTR=intent", EINTR}, {"RECVSHIM_EINTR=restart", EINTR}, {"RECVSHIM_EINTR=always", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct finished job = RUN(.argv = {"unseen"}, .env = {rows[i].policy});
        cr_expect_eq(said(&job, "errno"), rows[i].error, "%s", rows[i].policy);
    }
}

/* More handlers than there are wrappers: what nobody saw interrupt is left to the program, where anybody cares. */
Test(handlers, too_many_to_wrap)
{
    static const struct {
        const char *policy, *pass;
        int error;
    } rows[] = {{"RECVSHIM_EINTR=intent", NULL, EINTR},
                {"RECVSHIM_EINTR=restart", NULL, EINTR},
                {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=USR1,ALRM", EINTR},
                {"RECVSHIM_EINTR=always", NULL, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int timed = 0; timed <= 1; timed++) {
            struct finished job = RUN(.argv = {"many_handlers", timed ? "timeout=60" : "timeout=0"},
                                      .env = {rows[i].policy, rows[i].pass});
            cr_expect_eq(said(&job, "errno"), rows[i].error, "row %zu, timed %d", i, timed);
        }
    }
}

/* A child's receives are under its parent's policy, with the handlers it was born with. */
Test(handlers, of_a_forked_child)
{
    static const struct {
        bool term, usr1;
    } passes[SETTINGS] = {{false, false}, {true, false}, {true, true}, {true, true}, {true, true}, {true, false}};
    for (size_t i = 0; i < SETTINGS; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"family", "received"}, .env = {settings[i][0], settings[i][1]});
        cr_assert(exited_with(&job, 0));
        cr_expect_eq(said(&job, "errno_of_term"), passes[i].term ? EINTR : 0, "%s", settings[i][0]);
        cr_expect_eq(said(&job, "errno_of_usr1"), passes[i].usr1 ? EINTR : 0, "%s", settings[i][0]);
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_assert_eq(ring.count, 2);
        for (int record = 0; record < 2; record++)
            cr_expect_neq(ring.records[record].pid, (uint32_t)job.pid);
        bool passed = (ring.records[0].result_flags & RECVSHIM_RESULT_PASSED) != 0;
        cr_expect_eq(passed, passes[i].term);
        free_ring(&ring);
    }
}

/* Ten thousand receives left by siglongjmp, out of a handler that the policy lets pass, leave nothing behind: what then
 * interrupts a receive is SIGUSR1, and it alone. */
static const struct left_row {
    const char *eintr;
    bool known, passed;
} left_rows[] = {{"RECVSHIM_EINTR=always", false, false},
                 {"RECVSHIM_EINTR=intent", true, false},
                 {"RECVSHIM_EINTR=restart", true, true},
                 {"RECVSHIM_EINTR=never", false, true}};

ROWS(handlers, nothing_is_left_of_a_receive_that_was_left, left_rows)
{
    const struct left_row *row = &left_rows[*index];
    struct finished job = RUN(.argv = {"jump", "times=10000", "then=1"}, .env = {row->eintr});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "jumped"), 10000);
    cr_expect_eq(said(&job, "received"), 10);
    cr_expect_eq(said(&job, "errno"), row->passed ? EINTR : 0, "%s", row->eintr);
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_assert_eq(ring.count, 11);
    for (int record = 0; record < 10; record++) {
        cr_expect_eq(ring.records[record].event, RECVSHIM_EVENT_RECEIVE);
        cr_expect_eq(ring.records[record].result_flags & (RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES), 0);
    }
    const struct recvshim_record *last = &ring.records[10];
    cr_expect_eq(last->event, row->passed ? RECVSHIM_EVENT_INTERRUPTED : RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(last->retries, !row->passed);
    cr_expect_eq(last->signals, signal_bit(SIGUSR1), "%s: signals %#llx", row->eintr,
                 (unsigned long long)last->signals);
    cr_expect_neq(last->result_flags & (row->known ? RECVSHIM_RESULT_SIGNALS : RECVSHIM_RESULT_CANDIDATES), 0);
    free_ring(&ring);
}
