/* A trace that others cut short, replace or overwrite while it is in use: programs go on as they do natively, and who
 * reads it is told. */
#include "harness.h"

#include "trace/trace_file.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(tampered, .init = harness_begin, .fini = harness_end);

/* ---- a trace that is cut short while it is written ---- */

struct bus_row {
    const char *sigbus; /* what the program does with it */
    const char *threads;
    bool killed; /* the kernel asks nobody */
};
static const struct bus_row bus_rows[] = {
    {"sigbus=default", "threads=4", false}, {"sigbus=handled", "threads=4", false}, {"sigbus=once", "threads=1", false},
    {"sigbus=ignored", "threads=4", true},  {"sigbus=blocked", "threads=4", true},
};

ROWS(tampered, cut_short_by_any_use_of_sigbus, bus_rows)
{
    const struct bus_row *row = &bus_rows[*index];
    /* Nothing, a page, all that is mapped read-only, and half. */
    static const char *const sizes[] = {"size=0", "size=4096", "size=65536", "size=600000"};
    char trace[256];
    snprintf(trace, sizeof trace, "trace=%s", trace_path());
    struct finished native = RUN(.argv = {"bus", row->sigbus, row->threads}, .native = true);
    cr_assert(exited_with(&native, 0));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unlink(trace_path());
        struct finished job =
            RUN(.argv = {"bus", row->sigbus, row->threads, trace, sizes[i]}, .env = {"RECVSHIM_SIZE=1M"});
        expect_line(&job, NULL);
        /* On a machine of many CPUs, and so shards, it may write into the first half alone. */
        bool met = killed_by(&job, SIGBUS) || i < 3;
        if (row->killed && met) {
            cr_expect(killed_by(&job, SIGBUS), "%s %s", row->sigbus, sizes[i]);
        } else {
            cr_expect_eq(job.status, native.status, "%s %s: status %#x", row->sigbus, sizes[i], (unsigned)job.status);
            cr_expect_str_eq(job.out, native.out, "%s %s", row->sigbus, sizes[i]);
        }
        struct finished show = RUN_COMMAND("show", trace_path());
        cr_expect(exited_with(&show, 1));
        expect_line(&show, strcmp(sizes[i], "size=0") == 0 ? "is not a recvshim trace" : "has been truncated");
    }
}

/* Those who have it go on in the old one, and those who come find what is there now. */
Test(tampered, replaced_in_use)
{
    char count[256];
    snprintf(count, sizeof count, "%s", path_of("count"));
    int file = open(count, O_RDWR | O_CREAT, 0600);
    cr_assert(file >= 0 && ftruncate(file, 4096) == 0);
    struct running first = start(&(struct job){.argv = {"counted", count, "100"}, .env = {"RECVSHIM_SIZE=1M"}});
    for (uint64_t counted = 0; counted < 50;)
        cr_assert_eq(pread(file, &counted, sizeof counted, 0), (ssize_t)sizeof counted);
    cr_assert_eq(rename(trace_path(), path_of("old")), 0);
    int other = open(trace_path(), O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert_eq(write(other, "dear diary", 10), 10);
    close(other);

    struct finished job = RUN(.argv = {"calls"});
    cr_expect(exited_with(&job, 3));
    expect_line(&job, "is not a recvshim trace; nothing is traced");
    for (uint64_t counted = 0; counted < 100;)
        cr_assert_eq(pread(file, &counted, sizeof counted, 0), (ssize_t)sizeof counted);
    kill(first.pid, SIGKILL);
    struct finished killed = finish(first);
    cr_expect_str_empty(killed.err);
    struct ring ring = read_receives(path_of("old"));
    expect_complete(&ring);
    cr_expect_eq(ring.count, 100);
    struct stat now;
    cr_expect(stat(trace_path(), &now) == 0 && now.st_size == 10);
}

/* ---- a trace that others write to ---- */

/* What somebody with the right to write may leave anywhere in it, ahead of what is read next. */
static const uint64_t hostile[] = {0, 1, 2, 3, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, UINT32_MAX, 513, 4096};

static uint64_t random_of(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 16;
}

static void spoil(int fd, const struct recvshim_layout *layout, int part, uint64_t *state)
{
    /* The header; the switches and first rules; the counters; rules' counts; cursors; processes, names and slots. */
    const uint64_t ranges[][2] = {{0, sizeof(struct recvshim_header)},
                                  {RECVSHIM_CONTROL_OFFSET, 256},
                                  {layout->counters, sizeof(struct recvshim_counters)},
                                  {layout->rules, 1024},
                                  {layout->cursors, 512},
                                  {layout->processes, layout->size - layout->processes}};
    uint64_t draw = random_of(state);
    uint64_t value = draw % 4 == 0 ? random_of(state) << 40 ^ random_of(state) : hostile[draw / 4 % 10];
    uint64_t place = ranges[part][0] + random_of(state) % (ranges[part][1] / 4) * 4;
    size_t size = draw / 64 % 2 == 0 ? 4 : 8;
    if (place + size <= layout->size)
        cr_assert_eq(pwrite(fd, &value, size, (off_t)place), (ssize_t)size);
}

/* It may be refused, with a line; it may not crash, hang or disturb. */
static void expect_unharmed(const struct finished *job, const char *where)
{
    cr_expect(exited_with(job, 3), "%s", where);
    cr_expect_eq(said(job, "recv_bytes") + said(job, "recvfrom_bytes"), 1144, "%s", where);
    cr_expect(job->err[0] == '\0' || (lines_of(job->err) == 1 && strncmp(job->err, "recvshim: RECVSHIM_", 19) == 0),
              "%s: %s", where, job->err);
}

static bool runs(const struct running *running)
{
    siginfo_t end = {0};
    return waitid(P_PID, (id_t)running->pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid == 0;
}

static void expect_read_or_refused(const char *verb, const char *option, const char *where)
{
    struct finished job = RUN_COMMAND(verb, trace_path(), option);
    cr_expect(WIFEXITED(job.status) && WEXITSTATUS(job.status) <= 1, "%s: %s: status %#x, %s", where, verb,
              (unsigned)job.status, job.err);
    cr_expect(WEXITSTATUS(job.status) == 0 || lines_of(job.err) >= 1, "%s: %s fails and says nothing", where, verb);
}

/* A trace that nobody has joined yet would be refused, once it is spoilt. */
static struct ring read_once_written(void)
{
    while (access(trace_path(), F_OK) != 0)
        usleep(1000);
    for (;;) {
        struct ring ring = read_trace(trace_path());
        if (ring.count > 0)
            return ring;
        free_ring(&ring);
    }
}

Test(tampered, spoilt_while_in_use)
{
    static const char *const parts[] = {"header", "control", "counters", "rules", "cursors", "the rest"};
    enum { ROUNDS = 4, SPOILS = 60 };
    char until[256];
    snprintf(until, sizeof until, "until=%s", path_of("over"));
    for (int part = 0; part < 6; part++) {
        uint64_t state = (uint64_t)part + 1;
        unlink(trace_path());
        unlink(path_of("over"));
        struct running running = start(&(struct job){.argv = {"threads", "threads=3", "each=1000", until},
                                                     .env = {"RECVSHIM_SIZE=256K", "RECVSHIM_FULL=overwrite"}});
        struct ring ring = read_once_written();
        struct recvshim_layout layout =
            recvshim_layout(ring.header.shards, ring.header.slots, ring.header.processes, ring.header.names);
        free_ring(&ring);
        int fd = open(trace_path(), O_RDWR);
        char good[sizeof(struct recvshim_header)];
        cr_assert_eq(pread(fd, good, sizeof good, 0), (ssize_t)sizeof good);
        for (int round = 0; round < ROUNDS; round++) {
            char where[64];
            snprintf(where, sizeof where, "%s, round %d", parts[part], round);
            for (int i = 0; i < SPOILS; i++)
                spoil(fd, &layout, part, &state);
            cr_expect(runs(&running), "%s: it is in use", where);
            struct finished job = RUN(.argv = {"calls"});
            expect_unharmed(&job, where);
            expect_read_or_refused("show", NULL, where);
            expect_read_or_refused("stats", NULL, where);
            expect_read_or_refused("control", NULL, where);
            expect_read_or_refused("control", "--clear-faults", where);
            cr_assert_eq(pwrite(fd, good, sizeof good, 0),
                         (ssize_t)sizeof good); /* each round gets as far as the maps */
        }
        close(fd);
        close(open(path_of("over"), O_WRONLY | O_CREAT, 0600));
        struct finished job = finish(running);
        cr_expect(exited_with(&job, 0), "%s", parts[part]);
        cr_expect_eq(said(&job, "received0") + said(&job, "received1") + said(&job, "received2"),
                     said(&job, "sent0") + said(&job, "sent1") + said(&job, "sent2"), "%s", parts[part]);
        cr_expect_str_empty(job.err);
        expect_read_or_refused("show", "--follow", parts[part]); /* it ends, because nobody writes */
    }
}
