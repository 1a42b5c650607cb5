/* Many short-lived processes: each is in the trace once, or is told to be lost. */
#include "harness.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

TestSuite(short_lived, .init = harness_begin, .fini = harness_end);

struct brief_row {
    const char *way, *size;
    uint64_t entries; /* in the table of processes */
    bool overwrites;
};
static const struct brief_row brief_rows[] = {
    {"way=fork", "RECVSHIM_SIZE=32M", 8192, false},
    {"way=spawn", "RECVSHIM_SIZE=16M", 4096, false},
    {"way=fork", "RECVSHIM_SIZE=256K", 64, true},
};
enum { BRIEF = 5000 };

static void expect_each_once(const struct ring *ring)
{
    cr_expect_eq(count_events(ring, RECVSHIM_EVENT_START), BRIEF + 1);
    cr_expect_eq(count_events(ring, RECVSHIM_EVENT_RECEIVE), BRIEF);
    cr_expect_eq(count_events(ring, RECVSHIM_EVENT_EXIT), BRIEF + 1);
    long long statuses = 0;
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == RECVSHIM_EVENT_EXIT)
            statuses += ring->records[i].result;
    long long expected = 0;
    for (long long i = 0; i < BRIEF; i++)
        expected += i % 101;
    cr_expect_eq(statuses, expected);
}

ROWS(short_lived, processes, brief_rows)
{
    const struct brief_row *row = &brief_rows[*index];
    if (strcmp(row->way, "way=spawn") == 0)
        NOT_UNDER_QEMU("it runs no program of its machine by exec");
    char processes[32], line[128];
    snprintf(processes, sizeof processes, "processes=%d", BRIEF);
    struct finished job = RUN(.argv = {"brief", row->way, processes}, .env = {row->size});
    cr_assert(exited_with(&job, 0));
    expect_line(&job, NULL);
    cr_expect_eq(said(&job, "right"), BRIEF);
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(ring.header.processes, row->entries);
    cr_expect_eq(ring.process_count, row->entries < BRIEF + 1 ? (long long)row->entries : BRIEF + 1);
    cr_expect_eq(ring.positions, 3 * BRIEF + 2);
    cr_expect_eq(ring.torn + ring.unfinished + ring.dropped, 0);
    bool lost = ring.count < ring.positions; /* the other rows too, where two of very many CPUs did all the work */
    if (row->overwrites)
        cr_expect(lost);
    if (!lost)
        expect_each_once(&ring);

    /* What is printed and what is said to be lost make up what was recorded; and who has no name is told. */
    struct finished show = RUN_COMMAND("show", trace_path());
    cr_expect(exited_with(&show, 0));
    snprintf(line, sizeof line, "%lld of %lld events lost: %lld overwritten, 0 dropped", ring.positions - ring.count,
             ring.positions, ring.positions - ring.count);
    cr_expect_eq(lines_of(show.out), ring.count);
    cr_expect_eq(strstr(show.err, line) != NULL, lost, "stderr should say \"%s\": %s", line, show.err);
    snprintf(line, sizeof line, "%d of %d processes found no room in its table", BRIEF + 1 - (int)row->entries,
             BRIEF + 1);
    cr_expect_eq(strstr(show.err, line) != NULL, row->entries < BRIEF + 1, "stderr should say \"%s\": %s", line,
                 show.err);
    struct finished stats = RUN_COMMAND("stats", trace_path());
    cr_expect_eq(strstr(stats.err, line) != NULL, row->entries < BRIEF + 1, "stderr should say \"%s\": %s", line,
                 stats.err);
}
