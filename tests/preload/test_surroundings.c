/* Faults of the program's surroundings: limits, file systems, namespaces, a trace that is cut short or overwritten by
 * others. The program ends as it does natively, and whatever the trace lacks is told. */
#include "harness.h"

#include "trace/trace_file.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(surroundings, .init = harness_begin, .fini = harness_end);

/* The command, on the trace; with the library found by it. */
#define COMMAND(...)                                                                                                   \
    RUN(.argv = {RECVSHIM_COMMAND, __VA_ARGS__}, .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY}, .native = true)

/* One line at most, which says it; none at all for NULL. */
static void expect_line(const struct finished *job, const char *part)
{
    cr_expect_eq(lines_of(job->err), part != NULL, "stderr: %s", job->err);
    cr_expect(part == NULL || strstr(job->err, part) != NULL, "stderr should say \"%s\": %s", part, job->err);
}

/* A test for each row of a table: by its index, because a test's process finds no pointers of this one. */
#define ROWS(test, table)                                                                                              \
    ParameterizedTestParameters(surroundings, test)                                                                    \
    {                                                                                                                  \
        static size_t indices[sizeof table / sizeof table[0]];                                                         \
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)                                                    \
            indices[i] = i;                                                                                            \
        return cr_make_param_array(size_t, indices, sizeof table / sizeof table[0]);                                   \
    }                                                                                                                  \
    ParameterizedTest(const size_t *index, surroundings, test)

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

ROWS(cut_short_by_any_use_of_sigbus, bus_rows)
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
        struct finished show = COMMAND("show", trace_path());
        cr_expect(exited_with(&show, 1));
        expect_line(&show, strcmp(sizes[i], "size=0") == 0 ? "is not a recvshim trace" : "has been truncated");
    }
}

/* Those who have it go on in the old one, and those who come find what is there now. */
Test(surroundings, replaced_in_use)
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

/* ---- limits and places ---- */

/* Status 77: not permitted here. */
static void need(bool worked)
{
    if (!worked)
        _exit(77);
}

static void limit(__rlimit_resource_t resource, rlim_t value)
{
    need(setrlimit(resource, &(struct rlimit){value, value}) == 0);
}

#define LIMITED(name, resource, value)                                                                                 \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        limit(resource, value);                                                                                        \
    }
LIMITED(little_address_space, RLIMIT_AS, 20 << 20)
LIMITED(space_for_the_trace_alone, RLIMIT_AS, 14 << 20)
LIMITED(little_data, RLIMIT_DATA, 8 << 20)
LIMITED(little_stack, RLIMIT_STACK, 64 << 10)
LIMITED(no_locked_memory, RLIMIT_MEMLOCK, 0)
LIMITED(no_processes, RLIMIT_NPROC, 0)
LIMITED(no_core, RLIMIT_CORE, 0)

static void nobody(void)
{
    need(chmod(path_of(""), 0777) == 0 && setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
}

static void masked(void)
{
    umask(0777);
}

static void nobody_masked(void)
{
    nobody();
    masked();
}

static void nowhere(void)
{
    need(mkdir(path_of("cwd"), 0700) == 0 && chdir(path_of("cwd")) == 0 && rmdir(path_of("cwd")) == 0);
}

static void own_mounts(void)
{
    need(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static void without_proc(void)
{
    own_mounts();
    need(umount2("/proc", MNT_DETACH) == 0);
}

static void in_place(const char *type, unsigned long flags, const char *options)
{
    own_mounts();
    need(mkdir(path_of("place"), 0700) == 0 && mount("none", path_of("place"), type, flags, options) == 0);
}

static void read_only(void)
{
    in_place("tmpfs", MS_RDONLY, NULL);
}

static void without_inodes(void)
{
    in_place("tmpfs", 0, "nr_inodes=1");
}

/* Large pages, as an administrator may have them everywhere: 2 MiB at a time. */
static void in_huge_pages(void)
{
    in_place("tmpfs", 0, "huge=always");
}

/* Memory of its own kind, which has no other pages, and here none at all. */
static void in_hugetlbfs(void)
{
    in_place("hugetlbfs", 0, NULL);
}

static void in_a_later_time(void)
{
    need(unshare(CLONE_NEWTIME) == 0);
    int fd = open("/proc/self/timens_offsets", O_WRONLY);
    static const char offsets[] = "monotonic 864000 0\nboottime 864000 0\n";
    need(fd >= 0 && write(fd, offsets, sizeof offsets - 1) == (ssize_t)sizeof offsets - 1);
    close(fd);
}

struct place_row {
    const char *name;
    void (*prepare)(void);
    const char *env[3];
    const char *line; /* on stderr */
    bool traced;
};
#define IN_PLACE "RECVSHIM_TRACE=place/trace" /* replaced by the full path */
static const struct place_row place_rows[] = {
    {"RLIMIT_AS", little_address_space, {NULL}, "cannot be mapped: Cannot allocate memory; nothing is traced", false},
    {"RLIMIT_AS of rules",
     space_for_the_trace_alone,
     {"RECVSHIM_SIZE=64K"},
     "rules that come later cannot be followed: Cannot allocate memory; the rest is traced",
     true},
    {"RLIMIT_DATA", little_data, {NULL}, "rules that come later cannot be followed", true},
    {"RLIMIT_STACK", little_stack, {NULL}, NULL, true},
    {"RLIMIT_MEMLOCK", no_locked_memory, {NULL}, NULL, true},
    {"RLIMIT_NPROC", no_processes, {NULL}, NULL, true},
    {"RLIMIT_CORE", no_core, {NULL}, NULL, true},
    {"umask", masked, {NULL}, NULL, true},
    {"umask, not root", nobody_masked, {NULL}, NULL, true},
    {"HOME", NULL, {"HOME", "PATH", "LANG"}, NULL, true},
    {"no working directory", nowhere, {NULL}, NULL, true},
    {"no working directory, relative", nowhere, {"RECVSHIM_TRACE=trace"}, "cannot be made: No such file", false},
    {"no /proc", without_proc, {NULL}, NULL, true},
    {"read-only", read_only, {IN_PLACE}, "cannot be made: Read-only file system; nothing is traced", false},
    {"no inodes", without_inodes, {IN_PLACE}, "cannot be made: No space left on device; nothing is traced", false},
    {"huge pages", in_huge_pages, {IN_PLACE}, NULL, false /* its place goes with it */},
    {"hugetlbfs", in_hugetlbfs, {IN_PLACE}, "cannot be made", false},
    {"time namespace", in_a_later_time, {NULL}, NULL, true},
};

ROWS(wherever_it_runs, place_rows)
{
    const struct place_row *row = &place_rows[*index];
    NOT_UNDER_QEMU("limits are its own");
    struct job job = {.argv = {"calls"}, .prepare = row->prepare, .native = true};
    char place[256];
    snprintf(place, sizeof place, "RECVSHIM_TRACE=%s", path_of("place/trace"));
    for (size_t i = 0; i < 3; i++)
        job.env[i] = row->env[i] != NULL && strcmp(row->env[i], IN_PLACE) == 0 ? place : row->env[i];
    struct finished native = finish(start(&job));
    if (!WIFEXITED(native.status) || WEXITSTATUS(native.status) != 3)
        SKIP("%s: not permitted here, or nothing runs so: status %#x, %s", row->name, (unsigned)native.status,
             native.err);
    rmdir(path_of("place"));
    job.native = false;
    struct finished traced = finish(start(&job));
    cr_expect(exited_with(&traced, 3), "%s", row->name);
    cr_expect_eq(said(&traced, "recv_bytes"), 572, "%s", row->name);
    cr_expect_eq(said(&traced, "recvfrom_bytes"), 572, "%s", row->name);
    cr_expect_eq(lines_of(traced.err), row->line != NULL, "%s: stderr: %s", row->name, traced.err);
    cr_expect(row->line == NULL || strstr(traced.err, row->line) != NULL, "%s: stderr: %s", row->name, traced.err);
    if (!row->traced)
        return;
    struct stat file;
    cr_assert_eq(stat(trace_path(), &file), 0, "%s", row->name);
    cr_expect_eq(file.st_mode & 07777U, 0600, "%s: mode %o", row->name, (unsigned)file.st_mode);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 8, "%s", row->name);
}

/* ---- a limit on memory ---- */

static const char *cgroup; /* made by the first that is prepared for it */

static void write_line(const char *file, long long number)
{
    char path[256], text[32];
    snprintf(path, sizeof path, "%s/%s", cgroup, file);
    int fd = open(path, O_WRONLY), length = snprintf(text, sizeof text, "%lld\n", number);
    need(fd >= 0 && write(fd, text, (size_t)length) == length);
    close(fd);
}

static void in_little_memory(void)
{
    mkdir(cgroup, 0700);
    write_line(strncmp(cgroup, "/sys/fs/cgroup/memory/", 22) == 0 ? "memory.limit_in_bytes" : "memory.max", 12 << 20);
    write_line("cgroup.procs", getpid());
}

/* A trace of 16 MiB would be the end of a program that may have 12. */
Test(surroundings, little_memory)
{
    NOT_UNDER_QEMU("it has memory of its own");
    char name[128];
    bool first = access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) == 0;
    snprintf(name, sizeof name, "/sys/fs/cgroup/%srecvshim-test-%d", first ? "memory/" : "", (int)getpid());
    cgroup = name;
    struct finished native = RUN(.argv = {"calls"}, .prepare = in_little_memory, .native = true);
    struct finished job = RUN(.argv = {"calls"}, .prepare = in_little_memory);
    unlink(trace_path());
    struct finished less = RUN(.argv = {"calls"}, .prepare = in_little_memory, .env = {"RECVSHIM_SIZE=1M"});
    rmdir(cgroup);
    if (!WIFEXITED(native.status) || WEXITSTATUS(native.status) != 3)
        SKIP("no cgroup for memory here: status %#x", (unsigned)native.status);
    cr_expect(exited_with(&job, 3));
    expect_line(&job, "would take more than half of its cgroup's memory: give a smaller size, or a file on a disk; "
                      "nothing is traced");
    cr_expect(exited_with(&less, 3));
    expect_line(&less, NULL);
    cr_expect_eq(read_receives(trace_path()).count, 8);
}

/* ---- descriptors ---- */

static unsigned int closed; /* a set of 0 to 2 */

static void close_them(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if ((closed >> fd & 1) != 0)
            close(fd);
}

/* What it opens for a moment gets these numbers; the program finds them as they were, and no line of ours where it
 * writes its own. */
Test(surroundings, without_standard_descriptors)
{
    for (closed = 1; closed < 8; closed++) {
        unlink(trace_path());
        struct finished native = RUN(.argv = {"calls"}, .prepare = close_them, .native = true);
        struct finished job = RUN(.argv = {"calls"}, .prepare = close_them);
        cr_expect_eq(job.status, native.status, "%#x closed: status %#x, natively %#x", closed, (unsigned)job.status,
                     (unsigned)native.status);
        cr_expect_str_empty(job.err);
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_expect_eq(ring.count, 8, "%#x closed", closed);
        job = RUN(.argv = {"calls"}, .prepare = close_them, .env = {"RECVSHIM_TRACE=/missing/trace"});
        cr_expect_eq(job.status, native.status, "%#x closed, no trace: status %#x", closed, (unsigned)job.status);
    }
}

static void three_descriptors(void)
{
    close(STDIN_FILENO);
    limit((int)RLIMIT_NOFILE, 3);
}

/* One descriptor is enough, as it is for the loader. */
Test(surroundings, few_descriptors)
{
    NOT_UNDER_QEMU("it needs descriptors of its own");
    struct finished job = RUN(.argv = {"/bin/sh", "-c", "exit 3"}, .prepare = three_descriptors);
    cr_expect(exited_with(&job, 3));
    expect_line(&job, NULL);
    struct ring ring = read_trace(trace_path());
    cr_expect_str_eq(events_of(&ring), "<>");
}

/* ---- the command ---- */

static void little_files(void)
{
    limit((int)RLIMIT_FSIZE, 2000);
}

/* Past the limit the kernel sends SIGXFSZ, which ends a process: the program's own is the program's, and ours would
 * lose its status. */
Test(surroundings, output_beyond_the_limit_on_file_sizes)
{
    RUN(.argv = {"threads", "each=1000"});
    const char *events = path_of("events");
    struct job job = {
        .argv = {RECVSHIM_COMMAND, "run", "--trace", trace_path(), "-o", events, victim_path("threads"), "each=100000"},
        .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY},
        .prepare = little_files,
        .native = true};
    struct finished run = finish(start(&job));
    cr_expect(exited_with(&run, 0));
    cr_expect_eq(said(&run, "received0"), 100000);
    expect_line(&run, "events: cannot be written: File too large; the program goes on");
    struct job show = {
        .argv = {RECVSHIM_COMMAND, "show", "-o", events, trace_path()}, .prepare = little_files, .native = true};
    struct finished shown = finish(start(&show));
    cr_expect(exited_with(&shown, 1));
    expect_line(&shown, "events: cannot be written: File too large");

    const char *own[] = {"-q", "/bin/sh", "-c", "exec head -c 3000 /dev/zero >\"$0\"", path_of("own")};
    memcpy(&job.argv[4], own, sizeof own);
    job.argv[9] = NULL;
    run = finish(start(&job));
    cr_expect(exited_with(&run, 128 + SIGXFSZ), "as natively");
}

Test(surroundings, command_without_proc)
{
    struct job job = {.argv = {RECVSHIM_COMMAND, "run", victim_path("calls")},
                      .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY},
                      .prepare = without_proc,
                      .native = true};
    struct finished run = finish(start(&job));
    if (WIFEXITED(run.status) && WEXITSTATUS(run.status) == 77)
        SKIP("mount namespaces are not permitted here");
    cr_expect(exited_with(&run, 125));
    expect_line(&run, "trace in memory: is reached through /proc, which is not mounted; give --trace a file");
    const char *file[] = {"-o", path_of("events"), "--trace", trace_path(), victim_path("calls")};
    memcpy(&job.argv[2], file, sizeof file);
    run = finish(start(&job));
    cr_expect(exited_with(&run, 3));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 8);
    const char *process[] = {"show", "-p", "1", NULL};
    memcpy(&job.argv[1], process, sizeof process);
    run = finish(start(&job));
    cr_expect(exited_with(&run, 1));
    expect_line(&run, "process 1: cannot be looked into: /proc is not mounted");
}

/* Memory of `run` is reached through its own /proc; who sees another one has the library, and no trace. */
Test(surroundings, run_into_a_pid_namespace)
{
    static const char sleep[] = "unshare --pid --fork --mount-proc sleep 1 || exit 77";
    struct finished run = COMMAND("run", "-o", path_of("events"), "/bin/sh", "-c", sleep);
    if (WIFEXITED(run.status) && WEXITSTATUS(run.status) == 77)
        SKIP("pid namespaces are not permitted here");
    cr_expect(exited_with(&run, 0));
    expect_line(&run, "sleep) was not traced: it has the library, but not this trace: ");
    run = COMMAND("run", "-o", path_of("events"), "--trace", trace_path(), "/bin/sh", "-c", sleep);
    cr_expect(exited_with(&run, 0));
    cr_expect_null(strstr(run.err, "was not traced"), "%s", run.err);
}

/* ---- many short-lived processes ---- */

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

ROWS(short_lived_processes, brief_rows)
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
    struct finished show = COMMAND("show", trace_path());
    cr_expect(exited_with(&show, 0));
    snprintf(line, sizeof line, "%lld of %lld events lost: %lld overwritten, 0 dropped", ring.positions - ring.count,
             ring.positions, ring.positions - ring.count);
    cr_expect_eq(lines_of(show.out), ring.count);
    cr_expect_eq(strstr(show.err, line) != NULL, lost, "stderr should say \"%s\": %s", line, show.err);
    snprintf(line, sizeof line, "%d of %d processes found no room in its table", BRIEF + 1 - (int)row->entries,
             BRIEF + 1);
    cr_expect_eq(strstr(show.err, line) != NULL, row->entries < BRIEF + 1, "stderr should say \"%s\": %s", line,
                 show.err);
    struct finished stats = COMMAND("stats", trace_path());
    cr_expect_eq(strstr(stats.err, line) != NULL, row->entries < BRIEF + 1, "stderr should say \"%s\": %s", line,
                 stats.err);
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
    struct finished job = COMMAND(verb, trace_path(), option);
    cr_expect(WIFEXITED(job.status) && WEXITSTATUS(job.status) <= 1, "%s: %s: status %#x, %s", where, verb,
              (unsigned)job.status, job.err);
    cr_expect(WEXITSTATUS(job.status) == 0 || lines_of(job.err) >= 1, "%s: %s fails and says nothing", where, verb);
}

Test(surroundings, spoilt_while_in_use)
{
    static const char *const parts[] = {"header", "control", "counters", "rules", "cursors", "the rest"};
    enum { ROUNDS = 4, SPOILS = 60 };
    for (int part = 0; part < 6; part++) {
        uint64_t state = (uint64_t)part + 1;
        unlink(trace_path());
        struct running running = start(&(struct job){.argv = {"threads", "threads=3", "each=100000"},
                                                     .env = {"RECVSHIM_SIZE=256K", "RECVSHIM_FULL=overwrite"}});
        while (access(trace_path(), F_OK) != 0)
            usleep(1000);
        struct ring ring = read_trace(trace_path());
        struct recvshim_layout layout =
            recvshim_layout(ring.header.shards, ring.header.slots, ring.header.processes, ring.header.names);
        free_ring(&ring);
        int fd = open(trace_path(), O_RDWR);
        char good[sizeof(struct recvshim_header)];
        cr_assert_eq(pread(fd, good, sizeof good, 0), (ssize_t)sizeof good);
        int met = 0;
        for (int round = 0; round < ROUNDS; round++) {
            char where[64];
            snprintf(where, sizeof where, "%s, round %d", parts[part], round);
            for (int i = 0; i < SPOILS; i++)
                spoil(fd, &layout, part, &state);
            met += runs(&running);
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
        struct finished job = finish(running);
        cr_expect_gt(met, 0, "%s: it ended before anything was spoilt: let it receive more", parts[part]);
        cr_expect(exited_with(&job, 0), "%s", parts[part]);
        cr_expect_eq(said(&job, "received0") + said(&job, "received1") + said(&job, "received2"), 300000, "%s",
                     parts[part]);
        cr_expect_str_empty(job.err);
        expect_read_or_refused("show", "--follow", parts[part]); /* it ends, because nobody writes */
    }
}
