/* Real programs, as the distribution ships them: what they received is in the trace, to the byte. */
#include "harness.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(real, .init = harness_begin, .fini = harness_end);

#define PYTHON "/usr/bin/python3"

static void need(const char *program)
{
    if (access(program, X_OK) != 0)
        SKIP("%s is not installed", program);
}

/* Runs the program with peer.py at its other end. */
static struct finished run_with_peer(const char *program)
{
    char path[64];
    snprintf(path, sizeof path, "/usr/bin/%s", program);
    need(PYTHON);
    need(path);
    struct finished job = RUN(.argv = {PYTHON, SCRIPTS "/peer.py", RECVSHIM_LIBRARY, program}, .native = true);
    cr_assert(exited_with(&job, 0));
    cr_expect_str_empty(job.err);
    cr_expect_eq(said(&job, "status"), 0);
    return job;
}

static long long bytes_received(const struct ring *ring, const struct finished *job)
{
    long long bytes = 0;
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == RECVSHIM_EVENT_RECEIVE && ring->records[i].pid == said(job, "pid"))
            bytes += ring->records[i].result;
    return bytes;
}

Test(real, python)
{
    need(PYTHON);
    struct finished job = RUN(.argv = {PYTHON, SCRIPTS "/sockets.py"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_eq(said(&job, "stream_bytes"), 10000);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "stream_fd")), 10000);
    cr_expect_eq(bytes_of(&ring, (int)said(&job, "datagram_fd")), 1101);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
    const struct recvshim_record *last = &ring.records[ring.count - 1];
    cr_expect_eq(last->result, 1000);
    cr_expect_eq(last->family, AF_INET6);
    cr_expect_eq(last->port, said(&job, "port"));
    cr_expect_eq(last->scope, 0);
    cr_expect_eq(last->pid, said(&job, "pid"));
}

Test(real, curl)
{
    struct finished job = run_with_peer("curl");
    cr_expect_eq(said(&job, "shown"), 300000);
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_eq(bytes_received(&ring, &job), said(&job, "sent"));
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
}

Test(real, redis_cli)
{
    struct finished job = run_with_peer("redis-cli");
    cr_expect_eq(said(&job, "shown"), 6, "value and a newline");
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_eq(bytes_received(&ring, &job), said(&job, "sent"));
}

Test(real, socat_over_udp_and_ipv6)
{
    struct finished job = run_with_peer("socat");
    cr_expect_eq(said(&job, "shown"), said(&job, "sent"));
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    static const long long sizes[] = {10, 200, 1};
    long long datagrams = 0;
    for (long long i = 0; i < ring.count; i++) {
        const struct recvshim_record *record = &ring.records[i];
        if (record->event != RECVSHIM_EVENT_RECEIVE)
            continue;
        cr_assert_lt(datagrams, 3);
        cr_expect_eq(record->result, sizes[datagrams++]);
        cr_expect_eq(record->family, AF_INET6);
        cr_expect_arr_eq(record->address, &in6addr_loopback, 16);
        cr_expect_eq(record->port, said(&job, "port"));
        cr_expect_eq(record->scope, 0);
    }
    cr_expect_eq(datagrams, 3);
}
