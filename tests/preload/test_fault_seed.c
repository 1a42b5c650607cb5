/* The same seed repeats a run, whatever the scheduling. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(fault_seed, .init = harness_begin, .fini = harness_end);

#define RULES "RECVSHIM_FAULT=*:error=EIO:p=0.1;*:short=1..7:p=0.5;*:delay=1us..50us:p=0.2"

static struct finished scatter(const char *seed, const char *more)
{
    struct finished job = RUN(.argv = {"scattered", more}, .env = {RULES, seed});
    cr_assert(exited_with(&job, 0), "%s", job.err);
    return job;
}

/* What each injection was, by what it was done to: sorted, because in time they are scattered. */
static int by_place(const void *one, const void *other)
{
    const struct recvshim_record *a = one, *b = other;
    if (a->injection.origin != b->injection.origin)
        return a->injection.origin < b->injection.origin ? -1 : 1;
    if (a->ordinal != b->ordinal)
        return a->ordinal < b->ordinal ? -1 : 1;
    return (a->rule > b->rule) - (a->rule < b->rule);
}

static struct ring injections(void)
{
    struct ring ring = read_trace(trace_path());
    long long kept = 0;
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_FAULT)
            ring.records[kept++] = ring.records[i];
    ring.count = kept;
    qsort(ring.records, (size_t)kept, sizeof ring.records[0], by_place);
    remove(trace_path());
    return ring;
}

Test(fault_seed, a_hundred_runs_of_four_threads)
{
    struct finished first = scatter("RECVSHIM_SEED=42", NULL);
    struct ring expected = injections();
    cr_expect_gt(expected.count, 100);
    for (int i = 1; i < 100; i++) {
        struct finished again = scatter("RECVSHIM_SEED=42", i % 2 == 0 ? "pause=0" : NULL);
        cr_assert_str_eq(again.out, first.out, "run %d", i);
        struct ring ring = injections();
        cr_assert_eq(ring.count, expected.count, "run %d", i);
        for (long long n = 0; n < ring.count; n++) {
            cr_assert_eq(by_place(&ring.records[n], &expected.records[n]), 0);
            cr_assert_eq(ring.records[n].result, expected.records[n].result);
            cr_assert_eq(ring.records[n].injected, expected.records[n].injected);
        }
        free_ring(&ring);
        free(again.out);
        free(again.err);
    }
    free_ring(&expected);
}

Test(fault_seed, another_seed_gives_others)
{
    static const char *const seeds[] = {"RECVSHIM_SEED=1", "RECVSHIM_SEED=2", "RECVSHIM_SEED=random",
                                        "RECVSHIM_SEED=random"};
    char *out[4];
    for (int i = 0; i < 4; i++) {
        out[i] = scatter(seeds[i], NULL).out;
        remove(trace_path()); /* it has a seed, which whoever joins it gets */
        for (int n = 0; n < i; n++)
            cr_expect_str_neq(out[i], out[n]);
    }
}

/* Threads and connections differ from each other, too. */
Test(fault_seed, no_two_threads_are_hit_alike)
{
    char *out = scatter("RECVSHIM_SEED=42", NULL).out, *lines[4];
    for (int i = 0; i < 4; i++)
        lines[i] = strtok(i == 0 ? out : NULL, "\n");
    for (int i = 0; i < 4; i++)
        for (int n = 0; n < i; n++)
            cr_expect_str_neq(lines[i], lines[n]);
    cr_expect_neq(strncmp(lines[0], lines[0] + 40, 40), 0);
}

Test(fault_seed, the_programs_own_random_numbers_stay_as_they_are)
{
    struct finished native = RUN(.argv = {"scattered"}, .native = true);
    cr_assert(exited_with(&native, 0));
    char *own = strstr(native.out, "random "), *under = strstr(scatter("RECVSHIM_SEED=42", NULL).out, "random ");
    cr_assert(own != NULL && under != NULL);
    cr_expect_str_eq(under, own);
}

/* Without a trace as well; and a trace's own seed holds for all who join it. */
Test(fault_seed, of_a_trace_or_of_the_process)
{
    char *traced = scatter("RECVSHIM_SEED=42", NULL).out;
    struct finished joined = RUN(.argv = {"scattered"}, .env = {RULES, "RECVSHIM_SEED=43"});
    cr_expect_str_eq(joined.out, traced);
    struct finished alone = RUN(.argv = {"scattered"}, .env = {RULES, "RECVSHIM_SEED=42", "RECVSHIM_TRACE="});
    cr_expect_str_eq(alone.out, traced);
}

/* Counts are exact, however many threads share them. */
Test(fault_seed, times_are_shared_by_threads)
{
    for (int run = 0; run < 20; run++) {
        struct finished job = RUN(.argv = {"scattered", "pause=0"}, .env = {"RECVSHIM_FAULT=*:error=EIO:times=50"});
        long long hits = 0;
        for (const char *at = job.out; (at = strchr(at, 'E')) != NULL; at++)
            hits++;
        cr_assert_eq(hits, 50);
    }
    struct finished job = RUN(.argv = {"scattered", "pause=0"}, .env = {"RECVSHIM_FAULT=*:error=EIO:when=1+2"});
    long long hits = 0;
    for (const char *at = job.out; (at = strchr(at, 'E')) != NULL; at++)
        hits++;
    cr_expect_eq(hits, 4 * 3 * 40 / 2);
}

/* ---- as rules ---- */

/* The injections of the trace, as `recvshim show --format faults` has them, and the same program under these. */
static struct finished repeat(const char *more)
{
    struct finished shown = RUN(.argv = {RECVSHIM_COMMAND, "show", "--format", "faults", trace_path()}, .native = true);
    cr_assert(exited_with(&shown, 0), "%s", shown.err);
    cr_assert_str_empty(shown.err, "%s", shown.err);
    static char setting[1 << 17];
    snprintf(setting, sizeof setting, "RECVSHIM_FAULT=%s", shown.out);
    remove(trace_path());
    struct finished again = RUN(.argv = {"scattered", more}, .env = {setting, "RECVSHIM_SEED=1"});
    cr_assert(exited_with(&again, 0), "%s", again.err);
    cr_assert_str_empty(again.err, "%s", again.err);
    return again;
}

static void expect_repeated(const char *rules)
{
    struct finished first = RUN(.argv = {"scattered"}, .env = {rules, "RECVSHIM_SEED=42"});
    struct finished again = repeat("pause=0");
    cr_expect_str_eq(again.out, first.out, "%s", rules);
    struct finished third = repeat(NULL);
    cr_expect_str_eq(third.out, first.out, "what was repeated repeats again");
}

Test(fault_seed, the_rules_of_a_trace_repeat_it)
{
    expect_repeated("RECVSHIM_FAULT=*:error=EIO:p=0.1;*:short=1..7:p=0.3;*:delay=1us..50us:p=0.1");
    remove(trace_path());
    expect_repeated("RECVSHIM_FAULT=*:eof:p=0.02;*:short=2:when=1..30+3:per=connection;*:error=EIO:when=5+7");
    remove(trace_path());
    expect_repeated("RECVSHIM_FAULT=*:corrupt=3:p=0.3");
}
