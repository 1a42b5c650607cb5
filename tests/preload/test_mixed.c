/* 32- and 64-bit processes write one trace: none of their records is torn, and each is there, or counted as lost. */
#include "harness.h"

#include "tests/programs/mixed.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(mixed, .init = harness_begin, .fini = harness_end);

static const char *tree_path(bool wide)
{
    return wide ? VICTIMS "/mixed" : VICTIMS "-i386/mixed";
}

static const char *join(const char *name, const char *value)
{
    char *text = NULL;
    cr_assert_geq(asprintf(&text, "%s=%s", name, value), 0);
    return text;
}

/* Run a tree whose root is of that class; what its processes say. */
static const struct tally *grow(bool wide, const char *depth, const char *kills, const char *size)
{
    const char *file = path_of("tally");
    struct finished job = RUN(.argv = {tree_path(wide), join("self", tree_path(wide)), join("other", tree_path(!wide)),
                                       join("tally", file), "width=3", "receives=400", depth, kills},
                              .env = {RECEIVES_ONLY, size});
    cr_assert(exited_with(&job, 0));
    cr_expect_str_empty(job.err);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    const struct tally *tally = mmap(NULL, sizeof *tally, PROT_READ, MAP_PRIVATE, fd, 0);
    cr_assert_neq(tally, MAP_FAILED);
    close(fd);
    long long of_class[2] = {0, 0};
    for (uint32_t i = 0; i < tally->count; i++)
        of_class[tally->entries[i].bits == 64]++;
    cr_assert_gt(of_class[0], 0);
    cr_assert_gt(of_class[1], 0);
    return tally;
}

static long long receives_of(const struct tally *tally, uint32_t pid)
{
    long long receives = 0;
    for (uint32_t i = 0; i < tally->count; i++)
        if (pid == 0 || tally->entries[i].pid == pid)
            receives += tally->entries[i].receives;
    return receives;
}

/* 121 processes, as there are 3 to each but the lowest. */
static void check_complete(bool wide)
{
    const struct tally *tally = grow(wide, "depth=4", "kill=0", "RECVSHIM_SIZE=64M");
    cr_expect_eq(tally->count, 121);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, receives_of(tally, 0));
    cr_expect_eq(ring.count, 121 * 2 * 400);
    for (uint32_t i = 0; i < tally->count; i++) {
        long long records = 0;
        for (long long n = 0; n < ring.count; n++)
            records += ring.records[n].pid == tally->entries[i].pid;
        cr_expect_eq(records, receives_of(tally, tally->entries[i].pid), "process %u", tally->entries[i].pid);
    }
    free_ring(&ring);
}

Test(mixed, every_record_is_there, .timeout = 600)
{
    check_complete(true);
    harness_end();
    harness_begin();
    check_complete(false);
}

static long long number_in(const char *json, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    cr_assert_neq(at, NULL, "%s in %s", key, json);
    return atoll(at + strlen(quoted));
}

/* cursor = delivered + overwritten + dropped + died: all but the first as the command has it. */
static void check_account(const struct ring *ring)
{
    struct finished stats = RUN(.argv = {RECVSHIM_COMMAND, "stats", "--format", "json", trace_path()}, .native = true);
    struct finished show = RUN(.argv = {RECVSHIM_COMMAND, "show", "--format", "json", trace_path()}, .native = true);
    cr_assert(exited_with(&stats, 0));
    cr_assert(exited_with(&show, 0));
    const char *losses = strstr(stats.out, "\"losses\":");
    cr_assert_neq(losses, NULL, "%s", stats.out);
    const long long lost = number_in(losses, "overwritten") + number_in(losses, "dropped") + number_in(losses, "died");
    cr_expect_eq(ring->positions, lines_of(show.out) + lost, "%lld positions, %lld delivered, %.200s", ring->positions,
                 lines_of(show.out), losses);
    cr_expect_eq(number_in(losses, "pending"), 0);
    cr_expect_eq(ring->torn, 0);
}

Test(mixed, every_record_is_counted_where_there_is_no_room, .timeout = 600)
{
    for (int wide = 0; wide < 2; wide++) {
        const struct tally *tally = grow(wide, "depth=4", "kill=0", "RECVSHIM_SIZE=64K");
        struct ring ring = read_receives(trace_path());
        check_account(&ring);
        cr_expect_eq(ring.positions, receives_of(tally, 0));
        cr_expect_gt(ring.positions, 10 * ring.slots, "it went round");
        cr_expect_eq(ring.unfinished, 0);
        harness_end();
        harness_begin();
    }
}

/* A thread that is killed leaves a receive that it has not counted, or a record that it has not finished. */
Test(mixed, every_record_is_counted_where_processes_are_killed, .timeout = 600)
{
    for (int wide = 0; wide < 2; wide++) {
        const struct tally *tally = grow(wide, "depth=3", "kill=1", "RECVSHIM_SIZE=64K");
        const long long threads = 2 * 27;
        struct ring ring = read_receives(trace_path());
        check_account(&ring);
        cr_expect_geq(ring.positions, receives_of(tally, 0));
        cr_expect_leq(ring.positions, receives_of(tally, 0) + threads);
        harness_end();
        harness_begin();
    }
}

/* `run` in the place of the harness: each program's loader finds the library of its class. */
Test(mixed, run_traces_both)
{
    for (int wide = 0; wide < 2; wide++) {
        const char *root = tree_path(wide);
        struct finished job = RUN(.argv = {RECVSHIM_COMMAND, "run", "--trace", trace_path(), "-o", path_of("events"),
                                           root, join("self", root), join("other", tree_path(!wide)),
                                           join("tally", path_of("tally")), "depth=2", "receives=10"},
                                  .native = true);
        cr_assert(exited_with(&job, 0));
        cr_expect_str_empty(job.err);
        struct ring ring = read_receives(trace_path());
        cr_expect_eq(ring.count, 13 * 2 * 10);
        harness_end();
        harness_begin();
    }
}

/* A copy of the library where no other class's is. */
static const char *lone_library(void)
{
    const char *library = path_of("librecvshim.so");
    struct finished copy = RUN(.argv = {"/bin/cp", library_path(), library}, .native = true);
    cr_assert(exited_with(&copy, 0));
    return library;
}

Test(mixed, run_says_that_there_is_no_library_for_the_program)
{
    struct finished job = RUN(.argv = {RECVSHIM_COMMAND, "run", VICTIMS "-i386/calls"},
                              .env = {join("RECVSHIM_LIBRARY", lone_library())}, .native = true);
    cr_expect(exited_with(&job, 3));
    cr_expect_eq(said(&job, "recv_bytes"), 572);
    cr_expect_eq(lines_of(job.err), 1);
    cr_expect(strstr(job.err, "there is no library for that") != NULL && strstr(job.err, "ld.so") == NULL, "%s",
              job.err);
}

/* Of children nobody knows in time: their loader says it, and they run on. */
Test(mixed, children_without_a_library_run_on)
{
    const char *root = tree_path(true);
    struct finished job = RUN(.argv = {RECVSHIM_COMMAND, "run", "--trace", trace_path(), "-o", path_of("events"), root,
                                       join("self", root), join("other", tree_path(false)),
                                       join("tally", path_of("tally")), "depth=1", "receives=10"},
                              .env = {join("RECVSHIM_LIBRARY", lone_library())}, .native = true);
    cr_expect(exited_with(&job, 0));
    cr_expect(strstr(job.err, "ERROR: ld.so: object ") != NULL, "%s", job.err);
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.count, 2 * 2 * 10, "of the root and of its child by fork");
}

/* $LIB may stand in the variable itself. */
Test(mixed, the_library_may_be_named_for_both)
{
    struct finished job =
        RUN(.argv = {RECVSHIM_COMMAND, "run", "--trace", trace_path(), "-o", path_of("events"), VICTIMS "-i386/calls"},
            .env = {join("RECVSHIM_LIBRARY", PRELOAD)}, .native = true);
    cr_expect(exited_with(&job, 3));
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.count, 8);
}
