/* Programs that change the world around them, or become several: tracing goes on, with the right pids. */
#include "harness.h"

#include <criterion/criterion.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(world, .init = harness_begin, .fini = harness_end);

static long long records_of_pid(const struct ring *ring, long long pid)
{
    long long count = 0;
    for (long long i = 0; i < ring->count; i++)
        count += ring->records[i].pid == pid;
    return count;
}

static void check_leaving(const char *way, bool privileged)
{
    if (privileged && geteuid() != 0)
        SKIP("needs root");
    struct finished job = RUN(.argv = {"leaves", way});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "before"), 10);
    cr_expect_eq(said(&job, "after"), 15);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 25);
    cr_expect_geq(records_of_pid(&ring, said(&job, "pid")), 15);
}

Test(world, closefrom)
{
    check_leaving("closefrom", false);
}

Test(world, close_loop)
{
    check_leaving("close", false);
}

Test(world, dup2_storm)
{
    check_leaving("dup2", false);
}

Test(world, chroot)
{
    check_leaving("chroot", true);
}

Test(world, setuid)
{
    check_leaving("setuid", true);
}

/* To its end: each connection before it and after it, those of a worker, and how they end. */
static void check_server(const char *way, const char *hide)
{
    struct finished job = RUN(.argv = {"drops", way, hide});
    if (WIFEXITED(job.status) && WEXITSTATUS(job.status) == 77)
        SKIP("not permitted here");
    cr_assert(exited_with(&job, 9), "%#x: %s", (unsigned)job.status, job.err);
    cr_expect_str_empty(job.err);
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    static const struct {
        enum recvshim_event event;
        long long times;
    } rows[] = {{RECVSHIM_EVENT_START, 2},    {RECVSHIM_EVENT_CONNECT, 12},    {RECVSHIM_EVENT_ACCEPT, 12},
                {RECVSHIM_EVENT_RECEIVE, 36}, {RECVSHIM_EVENT_DISCONNECT, 12}, {RECVSHIM_EVENT_CLOSE, 12},
                {RECVSHIM_EVENT_EXIT, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(count_events(&ring, rows[i].event), rows[i].times, "event %d: %lld", (int)rows[i].event,
                     count_events(&ring, rows[i].event));
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_EXIT)
            cr_expect_eq(ring.records[i].result, ring.records[i].pid == (uint32_t)job.pid ? 9 : 8);
    cr_expect_eq(records_of_pid(&ring, said(&job, "worker")), 1 + 1 + 1 + 3 + 1 + 1 + 1);
}

Test(world, a_server_that_drops_privileges)
{
    check_server("way=privileges", NULL);
}

Test(world, a_server_that_enters_namespaces)
{
    char hide[256];
    snprintf(hide, sizeof hide, "hide=%s", path_of("."));
    check_server("way=namespaces", hide);
}

/* What the environment says holds as it was when the program began. */
Test(world, environment)
{
    static const char *const ways[] = {"way=cleared", "way=overwritten", "way=rewritten", "way=null"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (under_qemu() && strcmp(ways[i], "way=null") == 0)
            continue; /* it runs no program of its machine by exec */
        unlink(trace_path());
        struct finished job = RUN(.argv = {"environment", ways[i]});
        cr_assert(exited_with(&job, 0), "%s: %#x %s", ways[i], (unsigned)job.status, job.err);
        cr_expect_str_empty(job.err);
        cr_expect_eq(said(&job, "interrupted"), 1, "%s: retried", ways[i]);
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_expect_eq(ring.count, 1 + 5 + 10, "%s: %lld", ways[i], ring.count);
        cr_expect_eq(records_of_pid(&ring, said(&job, "child")), 5, "%s", ways[i]);
        cr_expect_geq(ring.records[0].retries, 1);
    }
}

Test(world, daemon)
{
    check_leaving("daemon", false);
}

static void check_child(const char *way)
{
    struct finished job = RUN(.argv = {"children", way});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "before") + said(&job, "after"), 40);
    cr_expect_eq(said(&job, "child_received"), 20);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 60);
    /* A child of vfork shares its parent's memory and stands under its pid; its tid is its own where libc's is. */
    bool shared = strcmp(way, "vfork") == 0;
    cr_expect_eq(records_of_pid(&ring, said(&job, "parent")), shared ? 60 : 40, "%s", way);
    cr_expect_eq(records_of_pid(&ring, said(&job, "child")), shared ? 0 : 20, "%s", way);
    for (long long i = 0; i < ring.count; i++)
        if (!shared)
            cr_expect_eq(ring.records[i].tid, ring.records[i].pid, "%s: a process of one thread", way);

    cr_expect_eq(ring.foreign, 0);
    cr_expect_eq(ring.process_count, shared ? 1 : 2);
    if (!shared) {
        cr_expect_eq(ring.processes[1].pid, said(&job, "child"));
        cr_expect_eq(ring.processes[1].parent, said(&job, "parent"));
    }
}

Test(world, fork)
{
    check_child("fork");
}

Test(world, fork_without_handlers)
{
    NOT_UNDER_QEMU("it clears no page in children");
    check_child("_Fork");
}

Test(world, raw_clone)
{
    NOT_UNDER_QEMU("it clears no page in children");
    check_child("clone");
}

/* Only the kernel could say who the child is. */
Test(world, raw_clone_without_look_ups)
{
    NOT_UNDER_QEMU("it clears no page in children");
    struct finished job = RUN(.argv = {"children", "clone"}, .env = {"RECVSHIM_LOOKUP=off"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "child_received"), 20);
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.torn + ring.unfinished, 0);
    cr_expect_eq(ring.count, 40);
    cr_expect_eq(ring.dropped, ring.positions - ring.count - ring.others);
    cr_expect_geq(ring.dropped, 20);
    cr_expect_eq(records_of_pid(&ring, said(&job, "parent")), 40);
    cr_expect_eq(ring.process_count, 1);
}

/* Two processes have the notes of one. */
Test(world, a_child_beside_its_parent_in_memory)
{
    NOT_UNDER_QEMU("it makes threads and processes, and nothing between them");
    struct finished job = RUN(.argv = {"children", "clone-memory"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "child_received"), 20);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_neq(said(&job, "child"), said(&job, "parent"));
    cr_expect_eq(records_of_pid(&ring, said(&job, "parent")), 60);
}

Test(world, vfork)
{
    check_child("vfork");
}

/* Its tids mean nothing outside: whoever repairs the ring must know of it. */
Test(world, a_child_in_a_pid_namespace)
{
    struct finished job = RUN(.argv = {"children", "namespace"});
    if (not_permitted(&job))
        SKIP("namespaces are not permitted here");
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(records_of_pid(&ring, 1), 20);
    cr_expect_eq(ring.foreign, 1);
}

Test(world, posix_spawn)
{
    NOT_UNDER_QEMU("it runs no program of its machine by exec");
    check_child("spawn");
}

Test(world, exec)
{
    NOT_UNDER_QEMU("it runs no program of its machine by exec");
    check_child("exec");
}

/* The first to receive in the child is its own child of vfork: what that notes must be the child's. */
static void check_vfork_in(const char *way)
{
    struct finished job = RUN(.argv = {"children", way});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 61);
    cr_expect_eq(records_of_pid(&ring, said(&job, "parent")), 40);
    cr_expect_eq(records_of_pid(&ring, said(&job, "child")), 21);
    /* After a raw clone libc has no tid of either: the child of vfork is asked for its own. */
    long long own = 0;
    for (long long i = 0; i < ring.count; i++)
        own += ring.records[i].tid == ring.records[i].pid;
    cr_expect_eq(own, strcmp(way, "clone-vfork") == 0 ? 60 : 61, "%s: %lld", way, own);
    cr_assert_eq(ring.process_count, 2);
    cr_expect_eq(ring.processes[1].pid, said(&job, "child"), "%s", way);
    cr_expect_eq(ring.processes[1].parent, said(&job, "parent"), "%s", way);
}

Test(world, vfork_in_a_new_process)
{
    static const char *const ways[] = {"fork-vfork", "_Fork-vfork", "clone-vfork"};
    NOT_UNDER_QEMU("it clears no page in children, and vfork is a fork");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        unlink(trace_path());
        check_vfork_in(ways[i]);
    }
}

enum { MANY = 16 };

static void run_many(void)
{
    struct running running[MANY];
    for (int i = 0; i < MANY; i++)
        running[i] = start(&(struct job){.argv = {"calls"}});
    for (int i = 0; i < MANY; i++) {
        struct finished job = finish(running[i]);
        cr_expect(exited_with(&job, 3));
        cr_expect_str_empty(job.err);
    }
}

/* All may be the first: one makes the trace, and the others find it whole. */
Test(world, many_join_one_trace_at_once)
{
    for (int round = 1; round <= 5; round++) {
        unlink(trace_path());
        run_many();
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_expect_eq(ring.count, MANY * 8);
        cr_expect_eq(ring.process_count, MANY);
    }
}

Test(world, pid_and_percent_in_the_path)
{
    char variable[200], name[64];
    snprintf(variable, sizeof variable, "RECVSHIM_TRACE=%s", path_of("a%%b.%p"));
    struct finished job = RUN(.argv = {"calls"}, .env = {variable});
    cr_expect_str_empty(job.err);
    snprintf(name, sizeof name, "a%%b.%d", (int)job.pid);
    struct ring ring = read_receives(path_of(name));
    cr_expect_eq(ring.count, 8);
}

static void become_nobody(void)
{
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        _exit(71);
}

/* A program that gained privileges takes no setting from its caller: else it would write where that points. LD_PRELOAD
 * is ignored there too, so the victim names the library itself; without the setuid bit the same program is traced. */
Test(world, setuid_program_reads_no_settings)
{
    NOT_UNDER_QEMU("a setuid bit is the emulator's to heed");
    if (geteuid() != 0)
        SKIP("needs root");
    const char *program = path_of("privileged"), *directory = path_of("");
    struct finished copy = RUN(.argv = {"/bin/cp", victim_path("linked"), program}, .native = true);
    cr_assert(exited_with(&copy, 0));
    struct statvfs file_system;
    if (statvfs(program, &file_system) != 0 || (file_system.f_flag & ST_NOSUID) != 0)
        SKIP("the test's file system allows no setuid programs");
    cr_assert_eq(chmod(directory, 0777), 0);

    cr_assert_eq(chmod(program, 0755), 0);
    struct finished job = RUN(.argv = {program}, .native = true);
    cr_assert(exited_with(&job, 3), "%s", job.err);
    unlink(trace_path());
    job = RUN(.argv = {program}, .native = true, .prepare = become_nobody);
    if (!WIFEXITED(job.status) || WEXITSTATUS(job.status) != 3)
        SKIP("another user cannot run what was built here");
    cr_expect_eq(access(trace_path(), F_OK), 0, "traced without the bit");
    unlink(trace_path());

    cr_assert_eq(chmod(program, 04755), 0);
    job = RUN(.argv = {program}, .native = true, .prepare = become_nobody, .env = {"RECVSHIM_SIZE=nonsense"});
    cr_expect(exited_with(&job, 3));
    cr_expect_str_empty(job.err);
    cr_expect_neq(access(trace_path(), F_OK), 0, "no trace from a setuid program");
}

/* Memory that nobody can shrink came with Linux 3.17. */
Test(world, run_on_an_old_kernel)
{
    const char *run[] = {VICTIMS "/old_kernel", "-E", "RECVSHIM_LOOKUP=on", RECVSHIM_COMMAND, "run"};
    struct finished job = RUN(.argv = {run[0], run[1], run[2], run[3], run[4], VICTIMS "/calls"}, .native = true);
    cr_expect(exited_with(&job, 125));
    cr_expect_str_eq(job.err, "recvshim: trace in memory: needs Linux 3.17; give --trace a file\n");
    job = RUN(.argv = {run[0], run[1], run[2], run[3], run[4], "-o", path_of("events"), "--trace", trace_path(),
                       VICTIMS "/calls"},
              .native = true);
    cr_expect(exited_with(&job, 3));
    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.count, 8);
}
