/* The command where limits, a missing /proc or namespaces stand in its way: it says so, and the program's status is the
 * program's. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(confined_command, .init = harness_begin, .fini = harness_end);

/* The counters of a build that counts lines are longer: none of their files is to be cut short. */
static void little_files(void)
{
    setenv("GCOV_PREFIX", "/dev/null", 1);
    set_limit((int)RLIMIT_FSIZE, 2000);
}

/* Past the limit the kernel sends SIGXFSZ, which ends a process: the program's own is the program's, and ours would
 * lose its status. */
Test(confined_command, output_beyond_the_limit_on_file_sizes)
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

Test(confined_command, command_without_proc)
{
    struct job job = {.argv = {RECVSHIM_COMMAND, "run", victim_path("calls")},
                      .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY},
                      .prepare = without_proc,
                      .native = true};
    struct finished run = finish(start(&job));
    if (not_permitted(&run))
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
Test(confined_command, run_into_a_pid_namespace)
{
    static const char sleep[] = "unshare --pid --fork --mount-proc sleep 1 || exit 77";
    struct finished run = RUN_COMMAND("run", "-o", path_of("events"), "/bin/sh", "-c", sleep);
    if (not_permitted(&run))
        SKIP("pid namespaces are not permitted here");
    cr_expect(exited_with(&run, 0));
    UNTIL (strstr(run.err, "was not traced") != NULL) /* where the command stood still it has not seen it */
        run = RUN_COMMAND("run", "-o", path_of("events"), "/bin/sh", "-c", sleep);
    expect_line(&run, "sleep) was not traced: it has the library, but not this trace: ");
    run = RUN_COMMAND("run", "-o", path_of("events"), "--trace", trace_path(), "/bin/sh", "-c", sleep);
    cr_expect(exited_with(&run, 0));
    cr_expect_null(strstr(run.err, "was not traced"), "%s", run.err);
}

/* Those that have loaded the library may be slow to begin. */
Test(confined_command, run_of_late_comers_into_a_pid_namespace)
{
    static const char sleep[] = "unshare --pid --fork --mount-proc sleep 1 || exit 77";
    struct job job = {
        .argv = {RECVSHIM_COMMAND, "run", "-o", path_of("events"), "--trace", trace_path(), "/bin/sh", "-c", sleep},
        .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY},
        .after = "lower_slow.so",
        .native = true};
    struct finished run = finish(start(&job));
    if (not_permitted(&run))
        SKIP("pid namespaces are not permitted here");
    UNTIL (strstr(run.err, "was not traced") == NULL) /* where the command stood still it has not seen it join */
        run = finish(start(&job));
    cr_expect(exited_with(&run, 0));
    cr_expect_null(strstr(run.err, "was not traced"), "%s", run.err);
}

/* What is found of a program that ends while it is looked at is not true of it. */
Test(confined_command, run_of_many_that_end_at_once)
{
    static const char many[] = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done";
    for (int i = 0; i < 4; i++) {
        struct finished run = RUN_COMMAND("run", "-o", path_of("events"), "/bin/sh", "-c", many);
        cr_expect(exited_with(&run, 0));
        cr_expect_null(strstr(run.err, "was not traced"), "%s", run.err);
    }
}
