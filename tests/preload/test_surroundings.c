/* Limits, file systems, namespaces and missing descriptors around the program: it ends as it does natively, and
 * whatever the trace lacks is told. */
#include "harness.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(surroundings, .init = harness_begin, .fini = harness_end);

/* ---- limits and places ---- */

#define LIMITED(name, resource, value)                                                                                 \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        set_limit(resource, value);                                                                                    \
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
    {"RLIMIT_AS of own rules",
     space_for_the_trace_alone,
     {"RECVSHIM_SIZE=64K", "RECVSHIM_FAULT=recv:eof:when=1000"},
     "RECVSHIM_FAULT=recv:eof:when=1000 cannot be followed: Cannot allocate memory",
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

ROWS(surroundings, wherever_it_runs, place_rows)
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
    set_limit((int)RLIMIT_NOFILE, 3);
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
