/* Each variable reaches the running program, and a bad value costs one line and nothing else. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(settings_live, .init = harness_begin, .fini = harness_end);

static struct ring trace_under(const char *setting)
{
    unlink(trace_path());
    struct finished job = RUN(.argv = {"calls"}, .env = {setting});
    cr_expect(exited_with(&job, 3));
    cr_expect_str_empty(job.err);
    return read_receives(trace_path());
}

Test(settings_live, tracing_off)
{
    struct ring ring = trace_under("RECVSHIM_TRACING=off");
    cr_expect_eq(ring.positions, 0);
    cr_expect_eq(ring.process_count, 1);
}

/* In the middle of a receive: its record has all that there is to tell. */
Test(settings_live, tracing_on_meanwhile)
{
    struct finished job = RUN(.argv = {"switched_on"}, .env = {"RECVSHIM_TRACING=off"});
    cr_expect_eq(said(&job, "received"), 1);
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 1);
    cr_expect_neq(ring.records[0].connection, 0);
    cr_expect_neq(ring.records[0].result_flags & RECVSHIM_RESULT_LOCAL, 0);
}

Test(settings_live, events)
{
    cr_expect_eq(trace_under("RECVSHIM_EVENTS=disconnect,error").positions, 0);
    cr_expect_eq(trace_under("RECVSHIM_EVENTS=error,receive").count, 8);
}

Test(settings_live, calls)
{
    struct ring ring = trace_under("RECVSHIM_CALLS=recvfrom");
    cr_assert_eq(ring.count, 4);
    for (long long i = 0; i < ring.count; i++)
        cr_expect_eq(ring.records[i].call, RECVSHIM_CALL_RECVFROM);
}

/* A call that is not handled is not retried either. */
Test(settings_live, calls_not_handled)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=10"}, .env = {"RECVSHIM_CALLS=recvfrom"});
    cr_expect_eq(said(&job, "result"), -1);
}

Test(settings_live, duration)
{
    struct ring without = trace_under("RECVSHIM_DURATION=off"), with = trace_under("RECVSHIM_DURATION=on");
    for (size_t i = 0; i < 8; i++) {
        cr_expect_not(without.records[i].result_flags & RECVSHIM_RESULT_DURATION);
        cr_expect_eq(without.records[i].duration, 0);
        cr_expect(with.records[i].result_flags & RECVSHIM_RESULT_DURATION);
        cr_expect_gt(with.records[i].duration, 0);
        cr_expect_lt(with.records[i].duration, with.records[i].time - with.processes[0].start);
    }
}

Test(settings_live, size_full_and_seed)
{
    struct ring ring = trace_under("RECVSHIM_SIZE=1M");
    cr_expect_eq(ring.slots * RECVSHIM_RECORD_SIZE, 1U << 20);
    cr_expect_eq(ring.header.mode, RECVSHIM_MODE_OVERWRITE);
    cr_expect_eq(trace_under("RECVSHIM_FULL=stop").header.mode, RECVSHIM_MODE_STOP);
    cr_expect_eq(trace_under("RECVSHIM_SEED=42").header.seed, 42);
    cr_expect_neq(trace_under("RECVSHIM_SEED=random").header.seed, trace_under("RECVSHIM_SEED=random").header.seed);
}

Test(settings_live, the_trace_is_the_users_alone)
{
    struct stat file;
    trace_under("RECVSHIM_EINTR=always");
    cr_assert_eq(stat(trace_path(), &file), 0);
    cr_expect_eq(file.st_mode & 07777, 0600);
}

/* Empty is as good as unset. */
Test(settings_live, empty_values)
{
    cr_expect_eq(trace_under("RECVSHIM_SIZE=").count, 8);
    cr_expect_eq(trace_under("RECVSHIM_EINTR=").count, 8);
}

/* What each bad value must be told to be, and whether the trace is made nevertheless. */
static const struct {
    const char *setting, *accepted, *consequence;
    bool traced;
} bad[] = {
    {"RECVSHIM_TRACE=/dev/shm/%q", "%p is the pid", "nothing is traced", false},
    {"RECVSHIM_SIZE=15K", "16K or more", "nothing is traced", false},
    {"RECVSHIM_SIZE=16X", "16K or more", "nothing is traced", false},
    {"RECVSHIM_SIZE=99999999999999999999", "16K or more", "nothing is traced", false},
    {"RECVSHIM_FULL=yes", "overwrite or stop", "nothing is traced", false},
    {"RECVSHIM_TRACING=maybe", "on or off", "nothing is traced", false},
    {"RECVSHIM_EVENTS=receive,nonsense", "would-block", "nothing is traced", false},
    {"RECVSHIM_EVENTS=,", "would-block", "nothing is traced", false},
    {"RECVSHIM_DURATION=1", "on or off", "durations are not measured", true},
    {"RECVSHIM_CALLS=read(2)", "recvfrom", "no call is handled", false},
    {"RECVSHIM_EINTR=sometimes", "always, intent, restart or never", "not retried", true},
    {"RECVSHIM_SCOPE=Canonical", "canonical, strip, kame or keep", "not normalised", true},
    {"RECVSHIM_FAULT=*:drop;*:eof:when=0",
     "in '*:eof:when=0' at character 12: '0' is no value of when; expected FIRST,", "no fault is injected", true},
    {"RECVSHIM_SEED=-1", "random, or an integer", "nothing is traced", false},
};

Test(settings_live, bad_values)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"calls"}, .env = {bad[i].setting});
        cr_expect(exited_with(&job, 3), "%s", bad[i].setting);
        cr_expect_eq(said(&job, "recv_bytes"), 572, "%s", bad[i].setting);
        cr_expect_eq(lines_of(job.err), 1, "%s: %s", bad[i].setting, job.err);
        cr_expect(strstr(job.err, bad[i].setting) != NULL, "%s", job.err);
        cr_expect(strstr(job.err, bad[i].accepted) != NULL, "%s", job.err);
        cr_expect(strstr(job.err, bad[i].consequence) != NULL, "%s", job.err);
        bool traced = access(trace_path(), F_OK) == 0 && read_receives(trace_path()).count == 8;
        cr_expect_eq(traced, bad[i].traced, "%s", bad[i].setting);
    }
}

/* What a value holds can neither break the line nor reach the terminal. */
Test(settings_live, a_bad_value_stays_on_its_line)
{
    struct finished job = RUN(.argv = {"calls"}, .env = {"RECVSHIM_SCOPE=a\nb\033c"});
    cr_expect_eq(lines_of(job.err), 1, "%s", job.err);
    cr_expect(strstr(job.err, "RECVSHIM_SCOPE=a?b?c is not accepted") != NULL, "%s", job.err);
}

/* Nor is anything of the line lost where the value is as long as it may be. */
Test(settings_live, a_long_bad_value_is_explained)
{
    char setting[8192] = "RECVSHIM_FAULT=";
    memset(setting + strlen(setting), ';', sizeof setting - strlen(setting) - 1);
    memcpy(setting + sizeof setting - 200, "recv:", 5);
    memset(setting + sizeof setting - 195, 'x', 194);
    struct finished job = RUN(.argv = {"calls"}, .env = {setting});
    cr_expect_eq(lines_of(job.err), 1, "%s", job.err);
    cr_expect(strstr(job.err, " is not accepted: give rules as CALLS:ACTION[:OPTION]...: in 'recv:xxx") != NULL, "%s",
              job.err);
    cr_expect(strstr(job.err, "x...' is no action; expected error=NAME, ") != NULL, "%s", job.err);
    cr_expect(strstr(job.err, ", scope=N; no fault is injected\n") != NULL, "%s", job.err);
}

/* A bad policy switches the feature off, and does not fall back to another. */
Test(settings_live, a_bad_policy_is_off)
{
    struct finished job = RUN(.argv = {"interrupted", "tick=10"}, .env = {"RECVSHIM_EINTR=sometimes"});
    cr_expect_eq(said(&job, "result"), -1);
    job = RUN(.argv = {"scope_seen"}, .after = "lower_scope.so",
              .env = {"RECVSHIM_SCOPE=nonsense", "LOWER_ADDRESS=2001:db8::1", "LOWER_SCOPE=7"});
    cr_expect_eq(said(&job, "scope"), 7);
}

static void unread_stderr(void)
{
    int fds[2];
    if (pipe(fds) != 0 || dup2(fds[1], STDERR_FILENO) < 0 || close(fds[0]) != 0 || close(fds[1]) != 0)
        _exit(71);
}

Test(settings_live, nobody_reads_the_complaint)
{
    struct finished job = RUN(.argv = {"calls"}, .env = {"RECVSHIM_SIZE=nonsense"}, .prepare = unread_stderr);
    cr_expect(exited_with(&job, 3), "no SIGPIPE: status %#x", (unsigned)job.status);
}
