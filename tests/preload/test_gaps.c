/* Where no library that is preloaded is called: known gaps, which these tests would notice to be closed. The program
 * works all the same, and its other receives are traced. And ways of binding that are no gaps. */
#include "harness.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(gaps, .init = harness_begin, .fini = harness_end);

static void check(const char *way, long long seen)
{
    unlink(trace_path());
    struct finished job =
        RUN(.argv = {"gaps", way, "module=" VICTIMS "/module.so"}, .env = {"RECVSHIM_CALLS=all", RECEIVES_ONLY});
    cr_assert(exited_with(&job, 0), "%s", way);
    cr_expect_eq(said(&job, "past"), 7, "%s", way);
    cr_expect_eq(said(&job, "by_program"), 10, "%s", way);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "own_fd")), 10, "%s", way);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "past_fd")), seen, "%s: %lld", way,
                 bytes_of(&ring, (int)said(&job, "past_fd")));
    cr_expect_eq(ring.count, 10 + seen, "%s: %lld receives", way, ring.count);
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

Test(gaps, the_resolver_of_libc)
{
    check("resolver", 0);
}

Test(gaps, other_calls)
{
    check("splice", 0);
    check("preadv2", 0);
    check("aio", 0);
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
    if (WIFEXITED(job.status) && WEXITSTATUS(job.status) == 77)
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
    run_high("read=1", "RECVSHIM_CALLS=all");
    ring = read_receives(trace_path());
    cr_expect_eq(ring.count, 0, "left alone as a file's");

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

/* It goes on to ask, as if there were none. */
Test(gaps, a_filter_that_is_installed_past_libc)
{
    NOT_UNDER_QEMU("it has no filters of seccomp");
    struct finished job = RUN(.argv = {"filtered", "tcp=1", "past=1"}, .native = true);
    cr_expect(exited_with(&job, 0));
    job = RUN(.argv = {"filtered", "tcp=1", "past=1"});
    cr_expect(killed_by(&job, SIGSYS));
    job = RUN(.argv = {"filtered", "tcp=1", "past=1"}, .env = {"RECVSHIM_LOOKUP=off"});
    cr_expect(exited_with(&job, 0));
}

/* Sizes are told, and faults done, by what the pieces are afterwards. */
Test(gaps, pieces_that_another_thread_changes)
{
    static const char *const calls[] = {"call=readv", "call=recvmsg"};
    static const char *const keys[] = {"result", "here", "elsewhere", "more"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        unlink(trace_path());
        struct finished native = RUN(.argv = {"repieced", calls[i]}, .native = true);
        struct finished job = RUN(.argv = {"repieced", calls[i]}, .env = {"RECVSHIM_CALLS=all"});
        for (size_t key = 0; key < sizeof keys / sizeof keys[0]; key++) {
            cr_expect_eq(said(&native, keys[key]), key == 0 ? 8 : 1, "%s", keys[key]);
            cr_expect_eq(said(&job, keys[key]), key == 0 ? 8 : 1, "%s", keys[key]);
        }
        struct ring ring = read_receives(trace_path());
        expect_complete(&ring);
        cr_assert_eq(ring.count, 1);
        cr_expect_eq(ring.records[0].result, 8);
        cr_expect_eq(ring.records[0].requested, 4 + 100, "%s: %llu", calls[i],
                     (unsigned long long)ring.records[0].requested);
        job = RUN(.argv = {"repieced", calls[i]}, .env = {"RECVSHIM_CALLS=all", "RECVSHIM_FAULT=*:corrupt=64"});
        cr_expect_eq(said(&job, "here"), 1, "%s: as it came", calls[i]);
        cr_expect_eq(said(&job, "elsewhere"), 0, "%s: bits are flipped where nothing came", calls[i]);
    }
}

/* What each of two threads sees under rules that are drawn for each connection, by which is the first to receive. */
static char **drawn(const char *started, const char *first)
{
    char **lines = calloc(2, sizeof *lines);
    struct finished job = RUN(.argv = {"own_threads", started, first},
                              .env = {"RECVSHIM_FAULT=*:error=EIO:p=0.5", "RECVSHIM_SEED=1", "RECVSHIM_TRACE="});
    cr_assert(exited_with(&job, 0) && lines != NULL);
    for (int i = 0; i < 2; i++)
        lines[i] = strtok(i == 0 ? job.out : NULL, "\n");
    cr_assert(lines[1] != NULL && strcmp(lines[0], lines[1]) != 0);
    return lines;
}

/* The origin of a connection is its thread's, and that a thread's by the order in which they were started: not of those
 * that pthread_create does not know. */
Test(gaps, threads_that_pthread_create_has_not_started)
{
    char **known = drawn("started=posix", "first=0"), **swapped = drawn("started=posix", "first=1");
    for (int i = 0; i < 2; i++)
        cr_expect_str_eq(swapped[i], known[i]);
    char **odd = drawn("started=c11", "first=0"), **odd_swapped = drawn("started=c11", "first=1");
    for (int i = 0; i < 2; i++)
        cr_expect_str_eq(odd_swapped[i], odd[1 - i]);
}

static struct ring reused(const char *by, const char *setting)
{
    unlink(trace_path());
    struct finished native = RUN(.argv = {"unnoted", by}, .native = true);
    struct finished job = RUN(.argv = {"unnoted", by}, .env = {"RECVSHIM_CALLS=all", setting});
    cr_assert(exited_with(&native, 0) && exited_with(&job, 0));
    if (strcmp(by, "by=filter") == 0) {
        cr_expect_eq(said(&native, "file"), -1, "interrupted");
        cr_expect_eq(said(&job, "file"), 1, "retried");
    } else {
        cr_expect_str_eq(job.out, native.out);
    }
    return read_trace(trace_path());
}

/* No gap: it is closed as it is by fclose, and the file is none of it. */
Test(gaps, a_stream_that_is_opened_anew)
{
    struct ring ring = reused("by=freopen", "RECVSHIM_EVENTS=receive,close");
    cr_assert_str_eq(events_of(&ring), "Rx", "%s", events_of(&ring));
}

/* Whose connection the second receive has, and that of the first was not seen to be closed. */
static void check_reused(const char *by, bool told_apart)
{
    struct ring ring = reused(by, "RECVSHIM_EVENTS=receive,close");
    cr_assert_str_eq(events_of(&ring), "RR", "%s: %s", by, events_of(&ring));
    cr_expect_eq(ring.records[1].fd, ring.records[0].fd);
    cr_expect_eq(ring.records[1].connection != ring.records[0].connection, told_apart, "%s", by);
}

Test(gaps, numbers_that_libc_or_the_kernel_gave_free)
{
    check_reused("by=file", false);
    check_reused("by=filter", false);
    check_reused("by=kernel", false);
    check_reused("by=socketpair", true);
}

/* What a thread closes of its own is taken to be closed for all. */
Test(gaps, descriptors_that_a_thread_has_alone)
{
    NOT_UNDER_QEMU("its threads cannot have them");
    struct ring ring = reused("by=thread", "RECVSHIM_EVENTS=receive,close");
    cr_assert_str_eq(events_of(&ring), "RxR", "%s", events_of(&ring));
    cr_expect_neq(ring.records[2].connection, ring.records[0].connection);
}

/* The program is not asked whether its pointers are good: where the kernel refuses, the library crashes with it. */
Test(gaps, addresses_where_nothing_is)
{
    static const struct {
        const char *what, *calls, *fault;
        bool crashes;
    } rows[] = {
        {"what=length", "RECVSHIM_CALLS=", NULL, true},
        {"what=message", "RECVSHIM_CALLS=", NULL, false}, /* it is passed on */
        {"what=message", "RECVSHIM_CALLS=all", NULL, true},
        {"what=messages", "RECVSHIM_CALLS=all", NULL, true},
        {"what=read-only", "RECVSHIM_CALLS=all", NULL, false},
        {"what=read-only", "RECVSHIM_CALLS=all", "RECVSHIM_FAULT=*:eof", true},
        {"what=pieces", "RECVSHIM_CALLS=all", NULL, false},
        {"what=no-name", "RECVSHIM_CALLS=all", "RECVSHIM_TRACE", false},
        {"what=no-name", "RECVSHIM_CALLS=all", NULL, true},
        {"what=vector", "RECVSHIM_CALLS=", NULL, false},
        {"what=vector", "RECVSHIM_CALLS=all", NULL, true},
        {"what=accepted", "RECVSHIM_TRACE", NULL, false},
        {"what=accepted", "RECVSHIM_CALLS=", NULL, true},
        {"what=timeout", "RECVSHIM_CALLS=all", NULL, false},
        {"what=timeout", "RECVSHIM_CALLS=all", "RECVSHIM_FAULT=*:eof", true},
    };
    /* libc itself converts the time-outs of others, and crashes so. */
    const size_t last = is_machine(EM_X86_64) ? 0 : 2;
    for (size_t i = 0; i + last < sizeof rows / sizeof rows[0]; i++) {
        struct finished native = RUN(.argv = {"wild", rows[i].what}, .native = true);
        cr_expect_eq(said(&native, "errno"), EFAULT, "%s", rows[i].what);
        struct finished job = RUN(.argv = {"wild", rows[i].what}, .env = {rows[i].calls, rows[i].fault});
        if (rows[i].crashes)
            cr_expect(killed_by(&job, SIGSEGV), "%s, %s: %#x", rows[i].what, rows[i].calls, (unsigned)job.status);
        else
            cr_expect_str_eq(job.out, native.out, "%s, %s: %s", rows[i].what, rows[i].calls, job.out);
    }
    struct finished job = RUN(.argv = {"messages", "beyond"}, .env = {"RECVSHIM_CALLS=all"});
    cr_expect(killed_by(&job, SIGSEGV), "an array that ends before its count: %#x", (unsigned)job.status);
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
