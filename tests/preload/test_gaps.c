/* Where no library that is preloaded is called: known gaps, which these tests would notice to be closed. The program
 * works all the same, and its other receives are traced. And ways of binding that are no gaps. */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

TestSuite(gaps, .init = harness_begin, .fini = harness_end);

static void check(const char *way, long long seen)
{
    struct finished job = RUN(.argv = {"gaps", way, "module=" VICTIMS "/module.so"});
    cr_assert(exited_with(&job, 0), "%s", way);
    cr_expect_eq(said(&job, "past"), 7, "%s", way);
    cr_expect_eq(said(&job, "by_program"), 10, "%s", way);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "own_fd")), 10, "%s", way);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "past_fd")), seen, "%s: %lld", way,
                 bytes_of(&ring, (int)said(&job, "past_fd")));
}

Test(gaps, module_that_is_loaded)
{
    check("local", 7);
}

Test(gaps, deepbind)
{
    check("deep", 0);
}

Test(gaps, another_namespace)
{
    check("namespace", 0);
}

Test(gaps, raw_system_calls)
{
    check("raw", 0);
}

Test(gaps, stdio_of_libc)
{
    check("stdio", 0);
}

/* Said before it starts. */
Test(gaps, static_pie)
{
    struct finished job = RUN(.argv = {RECVSHIM_COMMAND, "run", "--", VICTIMS "/calls_static_pie"}, .native = true);
    cr_assert(exited_with(&job, 3));
    cr_expect(strstr(job.err, "calls_static_pie: is statically linked") != NULL, "%s", job.err);
    cr_expect_eq(said(&job, "recv_bytes"), 572);
}

/* Where the kernel has no descriptors of such numbers, a lower layer has. */
static struct finished run_high(const char *numbers, const char *setting)
{
    unlink(trace_path());
    struct finished job = RUN(.argv = {"high", numbers}, .env = {setting});
    if (exited_with(&job, 77))
        job = RUN(.argv = {"high", numbers}, .env = {setting}, .after = "lower_high.so");
    cr_assert(exited_with(&job, 0), "%s: %s", setting, job.err);
    return job;
}

/* Their receives are there, without connection and peer. To rules they are one connection, which no `eof` ends. */
Test(gaps, descriptors_above_65535)
{
    struct finished job = run_high(NULL, NULL);
    cr_expect_str_eq(job.out, " 1/0 1/0 1/0 1/0 1/0 1/0");
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 6);
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(ring.records[i].fd, 66000 + i % 2);
        cr_expect_eq(ring.records[i].result, 1);
        cr_expect_eq(ring.records[i].connection, 0);
        cr_expect_eq(ring.records[i].result_flags & RECVSHIM_RESULT_PEER, 0);
    }

    static const struct {
        const char *numbers, *rule, *seen;
    } rows[] = {
        {"low=0", "RECVSHIM_FAULT=*:error=EIO:when=2:per=connection", " 1/0 -1/5 1/0 1/0 1/0 1/0"},
        {"low=1", "RECVSHIM_FAULT=*:error=EIO:when=2:per=connection", " 1/0 1/0 -1/5 -1/5 1/0 1/0"},
        {"low=0", "RECVSHIM_FAULT=*:eof:when=1:per=connection", " 0/0 1/0 1/0 1/0 1/0 1/0"},
        {"low=1", "RECVSHIM_FAULT=*:eof:when=1:per=connection", " 0/0 0/0 0/0 0/0 0/0 0/0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        job = run_high(rows[i].numbers, rows[i].rule);
        cr_expect_str_eq(job.out, rows[i].seen, "%s, %s: %s", rows[i].numbers, rows[i].rule, job.out);
    }
}

static void check_traced(const char *victim, const char *variable, const char *heard)
{
    unlink(trace_path());
    struct finished job = RUN(.argv = {victim}, .env = {variable});
    cr_assert(exited_with(&job, 3), "%s %s", victim, variable);
    if (heard == NULL)
        cr_expect_str_empty(job.err);
    else
        cr_expect(strstr(job.err, heard) != NULL, "%s", job.err);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 8, "%s %s", victim, variable);
}

Test(gaps, bindings_that_are_none)
{
    check_traced("calls", "LD_BIND_NOW=1", NULL);
    check_traced("calls_lazy", "LD_BIND_NOW", NULL);
    check_traced("calls_lazy", "LD_BIND_NOW=1", NULL);
    check_traced("calls_no_plt", "LD_BIND_NOW", NULL);
    check_traced("calls_lazy", "LD_AUDIT=" VICTIMS "/auditor.so", "audited");
    check_traced("calls", "LD_AUDIT=" VICTIMS "/auditor.so", "audited");
}
