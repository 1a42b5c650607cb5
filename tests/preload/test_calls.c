/* What a traced receive leaves behind, against what the program saw. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(calls, .init = harness_begin, .fini = harness_end);

static void check_calls(const char *victim)
{
    static const int64_t sizes[] = {1, 7, 64, 500};
    struct finished job = RUN(.argv = {victim});
    cr_assert(exited_with(&job, 3), "the program's own status");
    cr_expect_str_empty(job.err);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 8);
    for (long long i = 0; i < ring.count; i++) {
        const struct recvshim_record *record = &ring.records[i];
        bool from = i % 2 == 1;
        cr_expect_eq(record->call, from ? RECVSHIM_CALL_RECVFROM : RECVSHIM_CALL_RECV);
        cr_expect_eq(record->event, RECVSHIM_EVENT_RECEIVE);
        cr_expect_eq(record->result, sizes[i / 2]);
        cr_expect_eq(record->requested, 512);
        cr_expect_eq(record->flags, from ? (uint32_t)MSG_DONTWAIT : 0);
        cr_expect_eq(record->fd, said(&job, from ? "recvfrom_fd" : "recv_fd"));
        cr_expect_eq(record->pid, said(&job, "pid"));
        cr_expect_eq(record->tid, said(&job, "tid"));
        cr_expect_eq(record->error, 0);
        cr_expect_eq(record->retries, 0);
        cr_expect_gt(record->connection, 0);
        cr_expect_eq(record->connection, ring.records[i % 2].connection, "one connection for each descriptor");
    }
    cr_expect_neq(ring.records[0].connection, ring.records[1].connection);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "recv_fd")), said(&job, "recv_bytes"));
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "recvfrom_fd")), said(&job, "recvfrom_bytes"));

    const struct recvshim_record *datagram = &ring.records[1];
    cr_expect(datagram->result_flags & RECVSHIM_RESULT_PEER);
    cr_expect_eq(datagram->family, AF_INET6);
    cr_expect_eq(datagram->port, said(&job, "port"));
    cr_expect_eq(datagram->scope, 0);
    cr_expect_arr_eq(datagram->address, ((uint8_t[16]){[15] = 1}), 16);
}

Test(calls, plain)
{
    check_calls("calls");
}

/* Clang 14 makes nothing of glibc's fortified recv. */
static void need_fortified(const char *victim)
{
    struct finished symbols = RUN(.argv = {"/usr/bin/nm", "-D", victim}, .native = true);
    cr_assert(exited_with(&symbols, 0));
    if (strstr(symbols.out, "U __recv_chk") == NULL || strstr(symbols.out, "U __recvfrom_chk") == NULL)
        SKIP("this compiler does not fortify recv");
}

Test(calls, fortified)
{
    need_fortified(victim_path("calls_fortified"));
    check_calls("calls_fortified");
}

Test(calls, fortified_overflow_aborts)
{
    const char *const calls[] = {"call=recv", "call=recvfrom", "call=read"};
    need_fortified(victim_path("overflow_fortified"));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct finished job = RUN(.argv = {"overflow_fortified", calls[i]}, .env = {"RECVSHIM_CALLS=all"});
        cr_expect(killed_by(&job, SIGABRT), "%s: status %#x", calls[i], (unsigned)job.status);
        cr_expect(strstr(job.err, "buffer overflow") != NULL, "%s", job.err);
    }
}

Test(calls, process_table)
{
    NOT_UNDER_QEMU("processes have its own name");
    struct finished job = RUN(.argv = {"calls"});
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.process_count, 1);
    cr_expect_eq(ring.processes[0].pid, (uint32_t)job.pid);
    cr_expect_eq(ring.processes[0].parent, (uint32_t)getpid());
    cr_expect_str_eq(ring.processes[0].comm, "calls");
    cr_expect_leq(ring.processes[0].start, ring.records[0].time);
    cr_expect_geq(ring.processes[0].start, ring.header.monotonic);
}

Test(calls, untraced_without_a_path)
{
    struct finished job = RUN(.argv = {"calls"}, .env = {"RECVSHIM_TRACE"});
    cr_expect(exited_with(&job, 3));
    cr_expect_str_empty(job.err);
    cr_expect_neq(access(trace_path(), F_OK), 0);
}

Test(calls, errno_survives_success)
{
    static const char *const settings[] = {"RECVSHIM_TRACE=", "RECVSHIM_EVENTS=all"};
    struct finished job;
    for (size_t i = 0; i < 2; i++) {
        job = RUN(.argv = {"sentinel"}, .env = {"RECVSHIM_EINTR_PASS=USR1", settings[i]});
        cr_assert(exited_with(&job, 0), "%s: %s", settings[i], job.err);
        cr_expect_eq(lines_of(job.out), 6 + 22);
        for (char *line = strtok(job.out, "\n"); line != NULL; line = strtok(NULL, "\n"))
            cr_expect(strstr(line, " 4242") != NULL, "%s: %s", settings[i], line);
    }
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_geq(retries_of(&ring), 8, "the retried ones were interrupted");
}
