/* A trace that cannot be had, or is taken away: the program goes on as if nothing were, and says why in one line. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(trouble, .init = harness_begin, .fini = harness_end);

/* The program's output and status are its own, and stderr has one line that names the variable. */
static void expect_refused(const struct finished *job, const char *reason)
{
    cr_expect(exited_with(job, 3));
    cr_expect_eq(said(job, "recv_bytes"), 572);
    cr_expect(strstr(job->err, "RECVSHIM_TRACE=") != NULL, "stderr: %s", job->err);
    expect_line(job, reason);
}

static void check_path(const char *path, const char *reason)
{
    char variable[256];
    snprintf(variable, sizeof variable, "RECVSHIM_TRACE=%s", path);
    struct finished job = RUN(.argv = {"calls"}, .env = {variable});
    expect_refused(&job, reason);
}

static void write_file(const char *path, const char *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    close(fd);
}

/* Refused, and not a byte of it changed. */
static void check_file(const char *bytes, size_t count, const char *reason)
{
    static char now[1 << 17];
    write_file(trace_path(), bytes, count);
    check_path(trace_path(), reason);
    int fd = open(trace_path(), O_RDONLY);
    cr_assert_eq(read(fd, now, sizeof now), (ssize_t)count);
    close(fd);
    cr_expect_arr_eq(now, bytes, count);
}

/* What `recvshim run` gives its program leads nowhere once it has ended: no mistake of a user's, so not a word. */
Test(trouble, memory_of_a_run_that_has_ended)
{
    pid_t ended = fork();
    if (ended == 0)
        _exit(0);
    siginfo_t end;
    waitid(P_PID, (id_t)ended, &end, WEXITED | WNOWAIT); /* nobody else is given its number */
    char variable[64];
    snprintf(variable, sizeof variable, "RECVSHIM_TRACE=/proc/%d/fd/5", (int)ended);
    struct finished job = RUN(.argv = {"calls"}, .env = {variable});
    cr_expect(exited_with(&job, 3));
    cr_expect_str_eq(job.err, "");
    waitpid(ended, NULL, 0);
}

Test(trouble, missing_directory)
{
    check_path(path_of("missing/trace"), "No such file or directory");
}

Test(trouble, unwritable)
{
    check_path("/proc/trace", "cannot be made");
}

Test(trouble, a_directory)
{
    cr_assert_eq(mkdir(trace_path(), 0700), 0);
    check_path(trace_path(), "Is a directory");
}

Test(trouble, a_fifo)
{
    cr_assert_eq(mkfifo(trace_path(), 0600), 0);
    check_path(trace_path(), "is not a regular file");
}

Test(trouble, a_symbolic_link)
{
    RUN(.argv = {"calls"});
    cr_assert_eq(rename(trace_path(), path_of("real")), 0);
    cr_assert_eq(symlink(path_of("real"), trace_path()), 0);
    check_path(trace_path(), "is a symbolic link");
    cr_expect_eq(read_receives(path_of("real")).count, 8, "nothing came to what it leads to");
}

Test(trouble, foreign_files)
{
    static char big[70000];
    memset(big, 'x', sizeof big);
    check_file("", 0, "is not a recvshim trace");
    check_file("dear diary", 10, "is not a recvshim trace");
    check_file(big, sizeof big, "is not a recvshim trace");
}

/* A trace of which the first bytes are changed: each is told apart, and left alone. */
static void check_header(size_t offset, uint32_t value, off_t size, const char *reason)
{
    unlink(trace_path());
    RUN(.argv = {"calls"}, .env = {"RECVSHIM_SIZE=16K"});
    struct stat before, after;
    int fd = open(trace_path(), O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &before) == 0);
    if (reason != NULL && size >= 0)
        cr_assert_eq(ftruncate(fd, size), 0);
    else
        cr_assert_eq(pwrite(fd, &value, sizeof value, (off_t)offset), sizeof value);
    cr_assert(fstat(fd, &before) == 0);
    check_path(trace_path(), reason);
    cr_expect(fstat(fd, &after) == 0 && after.st_size == before.st_size);
    cr_expect_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec, "never written");
    close(fd);
}

Test(trouble, damaged_headers)
{
    check_header(offsetof(struct recvshim_header, version), RECVSHIM_VERSION + 1, -1, "another version");
    check_header(offsetof(struct recvshim_header, byte_order), 0x04030201, -1, "other byte order");
    check_header(offsetof(struct recvshim_header, shards), 3, -1, "its header makes no sense");
    check_header(offsetof(struct recvshim_header, record_size), 64, -1, "its header makes no sense");
    check_header(offsetof(struct recvshim_header, processes), 1, -1, "it is longer than");
    check_header(0, 0, 40, "is not a recvshim trace");
    check_header(0, 0, 8192, "it has been truncated");
}

Test(trouble, a_file_of_another_user)
{
    if (geteuid() != 0)
        SKIP("needs root");
    RUN(.argv = {"calls"});
    cr_assert_eq(chown(trace_path(), 65534, 65534), 0);
    check_path(trace_path(), "belongs to another user");
}

static void limit_file_size(void)
{
    set_limit((int)RLIMIT_FSIZE, 100000);
}

Test(trouble, a_limit_on_file_sizes)
{
    struct finished job = RUN(.argv = {"calls"}, .prepare = limit_file_size);
    expect_refused(&job, "RLIMIT_FSIZE");
    cr_expect_neq(access(trace_path(), F_OK), 0, "nothing is left behind");
}

static const char *mount_point;

static void mount_little(void)
{
    own_mounts();
    need(mount("none", mount_point, "tmpfs", 0, "size=64k") == 0);
}

Test(trouble, a_full_file_system)
{
    char variable[256];
    mount_point = path_of("little");
    cr_assert_eq(mkdir(mount_point, 0700), 0);
    snprintf(variable, sizeof variable, "RECVSHIM_TRACE=%s/trace", mount_point);
    struct finished job = RUN(.argv = {"calls"}, .env = {variable}, .prepare = mount_little);
    if (not_permitted(&job))
        SKIP("mount namespaces are not permitted here");
    expect_refused(&job, "No space left on device");
}

Test(trouble, truncated_in_use)
{
    struct finished job = RUN(.argv = {"meddle", "truncate", trace_path()});
    cr_assert(exited_with(&job, 0), "SIGBUS is the guard's");
    cr_expect_eq(said(&job, "before") + said(&job, "after"), 200);
    cr_expect_str_empty(job.err);
}

Test(trouble, truncated_while_threads_write)
{
    struct running running =
        start(&(struct job){.argv = {"threads", "threads=4", "each=100000"}, .env = {"RECVSHIM_SIZE=1M"}});
    while (access(trace_path(), F_OK) != 0)
        ;
    for (long long positions = 0; positions < 10000;) {
        struct ring ring = read_trace(trace_path());
        positions = ring.positions;
        free_ring(&ring);
    }
    cr_assert_eq(truncate(trace_path(), 0), 0);
    struct finished job = finish(running);
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "received0") + said(&job, "received1") + said(&job, "received2") + said(&job, "received3"),
                 400000);
    cr_expect_str_empty(job.err);
}

Test(trouble, removed_in_use)
{
    struct finished job = RUN(.argv = {"meddle", "remove", trace_path()});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "before") + said(&job, "after"), 200);
}

Test(trouble, forbidden_in_use)
{
    struct finished job = RUN(.argv = {"meddle", "forbid", trace_path()});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "before") + said(&job, "after"), 200);
    cr_assert_eq(chmod(trace_path(), 0600), 0);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 200);
}

/* The guard is for the trace alone. */
Test(trouble, a_sigbus_of_the_program)
{
    struct finished job = RUN(.argv = {"own_sigbus", "kind=handled"});
    cr_expect(exited_with(&job, 0));
    cr_expect_eq(said(&job, "caught"), 1);
    cr_expect_eq(said(&job, "after"), 3);
    job = RUN(.argv = {"own_sigbus", "kind=default"});
    cr_expect(killed_by(&job, SIGBUS), "status %#x", (unsigned)job.status);
    job = RUN(.argv = {"own_sigbus", "kind=sent"});
    cr_expect(killed_by(&job, SIGBUS), "status %#x", (unsigned)job.status);
}
