/* connect, accept, close, start and exit, as one process sees them. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>

TestSuite(life, .init = harness_begin, .fini = harness_end);

static struct finished live(const char *way)
{
    struct finished native = RUN(.argv = {"life", way}, .native = true);
    struct finished job = RUN(.argv = {"life", way});
    cr_assert_eq(job.status, native.status, "as without the library");
    cr_assert_str_eq(job.err, "", "%s", job.err);
    return job;
}

/* The n-th record of an event, counted from 0. */
static const struct recvshim_record *find(const struct ring *ring, enum recvshim_event event, int n)
{
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == event && n-- == 0)
            return &ring->records[i];
    cr_assert_fail("event %d is not there", (int)event);
    return NULL;
}

static const struct recvshim_record *find_of(const struct ring *ring, enum recvshim_event event, uint64_t connection)
{
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == event && ring->records[i].connection == connection)
            return &ring->records[i];
    cr_assert_fail("event %d of connection %llu is not there", (int)event, (unsigned long long)connection);
    return NULL;
}

static long long port_of_client(const struct finished *job, int i)
{
    char key[] = "client0";
    key[6] = (char)('0' + i);
    return said(job, key);
}

static void expect_loopback(const uint8_t bytes[16])
{
    cr_expect_arr_eq(bytes, ((uint8_t[16]){127, 0, 0, 1}), 16);
}

Test(life, accepted_with_and_without_an_address)
{
    struct finished job = live("accepted");
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    for (int i = 0; i < 3; i++) {
        const struct recvshim_record *record = find(&ring, RECVSHIM_EVENT_ACCEPT, i);
        cr_expect_eq(record->port, port_of_client(&job, i));
        cr_expect_eq(record->local_port, said(&job, "listener"));
        cr_expect_eq(record->result, record->fd);
        cr_expect_eq(record->family, AF_INET);
        cr_expect_eq(record->socket_type, SOCK_STREAM);
        cr_expect_eq(record->result_flags, RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_LOCAL);
        expect_loopback(record->address);
        expect_loopback(record->local_address);
        cr_expect_eq(find_of(&ring, RECVSHIM_EVENT_CLOSE, record->connection)->fd, record->fd);
    }
    /* The listener itself never appears, and neither does its close. */
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CLOSE), 6);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CONNECT), 3);
}

Test(life, a_family_without_addresses_is_not_asked_for_one)
{
    struct finished native = RUN(.argv = {"life", "accepted-without-address"}, .native = true);
    struct finished job = live("accepted-without-address");
    if (said(&native, "algorithm") == 0)
        SKIP("this kernel has no AF_ALG");
    cr_expect_str_eq(job.out, native.out);
}

Test(life, refused)
{
    struct finished job = live("refused");
    cr_expect_eq(said(&job, "refused"), ECONNREFUSED);
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *record = find(&ring, RECVSHIM_EVENT_CONNECT, 0);
    cr_expect_eq(record->result, -1);
    cr_expect_eq(record->error, ECONNREFUSED);
    expect_loopback(record->address);
    const struct recvshim_record *close = find_of(&ring, RECVSHIM_EVENT_CLOSE, record->connection);
    cr_expect_eq(close->result_flags & RECVSHIM_RESULT_CONNECTED, 0);
}

/* Two connects without waiting, and what becomes of each: one succeeds, one is refused. Returns the Nth. */
static const struct recvshim_record *expect_under_way(const struct ring *ring, int index)
{
    static const int errors[] = {EINPROGRESS, EINPROGRESS, 0, ECONNREFUSED};
    const struct recvshim_record *record = find(ring, RECVSHIM_EVENT_CONNECT, index);
    cr_expect_eq(record->error, errors[index]);
    cr_expect_eq(record->result, errors[index] == 0 ? 0 : -1);
    cr_expect_neq(record->local_port, 0);
    return record;
}

/* What the program learns from SO_ERROR is told once; that it reads 0 again is nothing new. */
Test(life, under_way_and_then_known)
{
    struct finished job = live("under-way");
    cr_expect_eq(said(&job, "bad"), ECONNREFUSED, "the program reads it, not we");
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CONNECT), 4);
    for (int i = 0; i < 4; i++) {
        const struct recvshim_record *record = expect_under_way(&ring, i);
        cr_expect(record->result_flags & RECVSHIM_RESULT_PEER);
        const struct recvshim_record *close = find_of(&ring, RECVSHIM_EVENT_CLOSE, record->connection);
        cr_expect_eq((close->result_flags & RECVSHIM_RESULT_CONNECTED) != 0, i % 2 == 0);
    }
}

Test(life, under_way_and_asked_again)
{
    struct finished job = live("asked-again");
    cr_expect_eq(said(&job, "bad"), ECONNREFUSED);
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CONNECT), 4);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(expect_under_way(&ring, i)->local_port, find(&ring, RECVSHIM_EVENT_CONNECT, i % 2)->local_port);
}

Test(life, one_socket_two_connections)
{
    live("dissolved");
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *first = find(&ring, RECVSHIM_EVENT_CONNECT, 0);
    const struct recvshim_record *second = find(&ring, RECVSHIM_EVENT_CONNECT, 1);
    cr_expect_eq(first->fd, second->fd);
    cr_expect_neq(first->connection, second->connection);
    cr_expect_eq(find_of(&ring, RECVSHIM_EVENT_RECEIVE, first->connection)->port, first->port);
    cr_expect_lt(find_of(&ring, RECVSHIM_EVENT_CLOSE, first->connection)->time, second->time);
    cr_expect(find_of(&ring, RECVSHIM_EVENT_RECEIVE, second->connection)->time > second->time);
}

/* A datagram's source is there though the program did not ask for it. */
Test(life, datagrams)
{
    struct finished job = live("datagrams");
    struct ring ring = read_trace(trace_path());
    for (int i = 0; i < 2; i++) {
        const struct recvshim_record *record = find(&ring, RECVSHIM_EVENT_RECEIVE, i);
        cr_expect_eq(record->port, said(&job, "sender"));
        cr_expect_eq(record->local_port, said(&job, "receiver"));
        cr_expect_eq(record->call, RECVSHIM_CALL_RECV);
        cr_expect_eq(record->socket_type, SOCK_DGRAM);
        cr_expect(record->result_flags & RECVSHIM_RESULT_PEER);
        expect_loopback(record->address);
    }
}

/* Whom it has as a peer then, all its descriptors have. */
Test(life, a_peer_after_the_other)
{
    struct finished job = live("reconnected");
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(said(&job, "everyone"), -1);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(find(&ring, RECVSHIM_EVENT_RECEIVE, i)->port, said(&job, i == 0 ? "first" : "second"), "%d", i);
}

Test(life, invalid_arguments)
{
    NOT_UNDER_QEMU("it takes addresses that the kernel refuses");
    struct finished job = live("invalid");
    cr_expect_eq(said(&job, "fault"), EFAULT);
    cr_expect_eq(said(&job, "length"), EINVAL);
    cr_expect_eq(said(&job, "bad"), EBADF);
    cr_expect_eq(said(&job, "shut"), ENOTCONN);
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
}

Test(life, ends_by_exit_and_underscore_exit)
{
    static const struct {
        const char *way;
        int status;
    } ways[] = {{"exit", 3}, {"underscore", 4}};
    for (size_t i = 0; i < 2; i++) {
        remove(trace_path());
        struct finished job = live(ways[i].way);
        struct ring ring = read_trace(trace_path());
        cr_assert_eq(ring.count, 2);
        cr_expect_eq(ring.records[0].event, RECVSHIM_EVENT_START);
        cr_expect_eq(ring.records[1].event, RECVSHIM_EVENT_EXIT);
        cr_expect_eq(ring.records[1].result, ways[i].status);
        cr_expect_eq(ring.records[1].pid, (uint32_t)job.pid);
        cr_expect_eq(ring.records[1].connection, 0);
        cr_expect_eq(ring.records[1].fd, -1);
        cr_expect_eq(ring.records[1].call, RECVSHIM_CALL_NONE);
    }
}

Test(life, children)
{
    struct finished job = live("children");
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_START), 2);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_EXIT), 2);
    cr_expect_eq(find(&ring, RECVSHIM_EVENT_EXIT, 0)->pid, said(&job, "received"));
    cr_expect_eq(find(&ring, RECVSHIM_EVENT_EXIT, 0)->result, 5);
    cr_expect_eq(find(&ring, RECVSHIM_EVENT_EXIT, 1)->pid, (uint32_t)job.pid);
}

Test(life, killed)
{
    struct finished job = live("signal");
    cr_assert(killed_by(&job, SIGKILL));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_RECEIVE), 1);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_EXIT), 0);
}

/* Nothing is asked; what the program itself says is known all the same. */
Test(life, without_look_ups)
{
    struct finished job = RUN(.argv = {"life", "accepted"}, .env = {"RECVSHIM_LOOKUP=off"});
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    for (int i = 0; i < 3; i++) {
        const struct recvshim_record *record = find(&ring, RECVSHIM_EVENT_ACCEPT, i);
        cr_expect_eq(record->port, port_of_client(&job, i));
        cr_expect_eq(record->local_port, 0);
        cr_expect_eq(record->result_flags, RECVSHIM_RESULT_PEER);
    }
}
