/* No event is attributed to a wrong connection, whatever happens to the descriptors. The victims ask of each connection
 * for a length that no other has, its tag (tests/programs/tagged.h), so that a trace alone shows what belongs together.
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(attribution, .init = harness_begin, .fini = harness_end);

enum { MOST_CONNECTIONS = 4096, FIRST_PORT = 1024, PORTS = 100000 };

/* What the records of one connection in one process say. */
struct connection {
    uint64_t id;
    uint32_t pid;
    long long tag; /* of its receives; 0: none yet */
    int port;      /* of its peer, by its accept; 0: none */
    int type;
    long long receives, bytes, accepts, closes, ends;
};

static struct connection connections[MOST_CONNECTIONS];
static size_t connection_count;

static struct connection *find(uint64_t id, uint32_t pid)
{
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].id == id && connections[i].pid == pid)
            return &connections[i];
    cr_assert_lt(connection_count, MOST_CONNECTIONS);
    connections[connection_count] = (struct connection){.id = id, .pid = pid};
    return &connections[connection_count++];
}

/* TCP: the tag has the peer's port, which must stand in the record too. */
static void check_receive(struct connection *connection, const struct recvshim_record *record)
{
    long long tag = (long long)record->requested;
    cr_expect(connection->tag == 0 || connection->tag == tag, "connection %llu has receives of %lld and of %lld",
              (unsigned long long)record->connection, connection->tag, tag);
    cr_expect(connection->type == 0 || connection->type == record->socket_type);
    cr_expect_eq(connection->closes, 0, "a receive after the close");
    connection->tag = tag;
    connection->type = record->socket_type;
    connection->receives++;
    connection->bytes += record->result > 0 ? record->result : 0;
    connection->ends += record->event == RECVSHIM_EVENT_DISCONNECT;
    cr_expect(record->result_flags & RECVSHIM_RESULT_PEER, "tag %lld: no peer", tag);
    bool inet = record->family == AF_INET || record->family == AF_INET6;
    cr_expect_eq(inet, tag >= FIRST_PORT, "tag %lld: family %d", tag, record->family);
    if (inet) {
        cr_expect_eq(record->port, tag % PORTS, "tag %lld: port %u", tag, record->port);
        cr_expect_neq(record->local_port, 0);
    }
}

/* `copies`: descriptors of one connection are closed one by one, and receives go on. */
static struct ring collect(const struct finished *job, bool copies)
{
    cr_assert(exited_with(job, 0));
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    connection_count = 0;
    for (long long i = 0; i < ring.count; i++) {
        const struct recvshim_record *record = &ring.records[i];
        bool of_carrier = record->call == RECVSHIM_CALL_RECVMSG || record->call == RECVSHIM_CALL_RECVMMSG;
        if (record->fd < 0 || of_carrier)
            continue; /* of a process, or of what descriptors are passed over */
        cr_expect_neq(record->connection, 0);
        struct connection *connection = find(record->connection, record->pid);
        if (is_receive(record))
            check_receive(connection, record);
        connection->closes += !copies && record->event == RECVSHIM_EVENT_CLOSE;
        if (record->event == RECVSHIM_EVENT_ACCEPT) {
            connection->accepts++;
            connection->port = record->port;
            cr_expect_eq(connection->receives, 0, "a receive before the accept");
        }
    }
    return ring;
}

/* How many connections of a process have this tag, and how many receives. */
static size_t with_tag(long long tag, uint32_t pid, long long *receives)
{
    size_t found = 0;
    for (size_t i = 0; i < connection_count; i++) {
        if (connections[i].tag != tag || connections[i].pid != pid)
            continue;
        found++;
        *receives += connections[i].receives;
    }
    return found;
}

/* In each process a connection has one tag, and a tag one connection. Returns how many were received from. */
static long long expect_one_to_one(void)
{
    long long received_from = 0;
    for (size_t i = 0; i < connection_count; i++) {
        const struct connection *one = &connections[i];
        long long receives = 0;
        if (one->tag == 0)
            continue;
        received_from++;
        cr_expect_eq(with_tag(one->tag, one->pid, &receives), 1, "tag %lld has more than one connection", one->tag);
        cr_expect_leq(one->accepts, 1);
        cr_expect_leq(one->ends, 1, "tag %lld ended %lld times", one->tag, one->ends);
        if (one->accepts > 0)
            cr_expect_eq(one->port, one->tag % PORTS, "accepted from port %d, received from %lld", one->port, one->tag);
    }
    return received_from;
}

static const struct connection *accepted_as(uint64_t id)
{
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].id == id && connections[i].accepts == 1)
            return &connections[i];
    return NULL;
}

/* Whoever reads a trace from its beginning meets each process by its start. */
static void expect_starts_first(const struct ring *ring)
{
    cr_expect_eq(count_events(ring, RECVSHIM_EVENT_START), ring->process_count);
    for (long long i = 0; i < ring->count; i++) {
        const struct recvshim_record *start = &ring->records[i];
        for (long long n = 0; n < i && start->event == RECVSHIM_EVENT_START; n++)
            if (ring->records[n].pid == start->pid)
                cr_expect_eq(ring->records[n].time, start->time, "event %d of %u is %llu ns before its start",
                             ring->records[n].event, start->pid,
                             (unsigned long long)(start->time - ring->records[n].time));
    }
}

static void check_prefork(const char *kind)
{
    struct finished job = RUN(.argv = {"prefork", kind, "connections=60"});
    struct ring ring = collect(&job, false);
    long long served = 0;
    for (size_t i = 0; i < connection_count; i++) {
        const struct connection *one = &connections[i];
        if (one->tag == 0)
            continue;
        served++;
        cr_expect_eq(one->bytes, 1 + one->tag % 7, "tag %lld: %lld bytes", one->tag, one->bytes);
        cr_expect_eq(one->ends, 1);
        const struct connection *accepted = accepted_as(one->id);
        cr_assert_not_null(accepted, "fork keeps the id: whoever accepted it");
        cr_expect_eq(accepted->port, one->tag);
        cr_expect_eq(accepted->closes, 1, "closed by whoever accepted it");
    }
    cr_expect_eq(served, 60);
    expect_starts_first(&ring);
    expect_one_to_one();
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_ACCEPT), 60);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CONNECT), 60);
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_ACCEPT)
            cr_expect_eq(ring.records[i].local_port, said(&job, "port"));
}

Test(attribution, a_process_for_each_connection)
{
    check_prefork("each");
}

Test(attribution, workers_that_share_a_listener)
{
    check_prefork("workers");
}

/* Six connections, twice. */
static void check_cleared(const char *way, long long receives, long long closes)
{
    unlink(trace_path());
    struct finished job = RUN(.argv = {"cleared", way});
    struct ring ring = collect(&job, false);
    cr_expect_eq(expect_one_to_one(), 12, "%s", way);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_RECEIVE), receives, "%s", way);
    long long closed = 0;
    for (size_t i = 0; i < connection_count; i++)
        closed += connections[i].tag != 0 && connections[i].closes == 1;
    cr_expect_eq(closed, closes, "%s: %lld closed", way, closed);
}

Test(attribution, all_descriptors_closed)
{
    const char *const ways[] = {"closefrom", "close_range", "close_ranges", "close", "dup2", "unseen"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        check_cleared(ways[i], 24, 6);
}

Test(attribution, close_range_that_only_marks)
{
    check_cleared("mark", 36, 6);
}

/* That a socket has another number in the process that it came to. */
static void expect_numbers_of_one_process(void)
{
    for (size_t i = 0; i < connection_count; i++)
        for (size_t n = 0; n < i; n++)
            cr_expect(connections[i].id != connections[n].id || connections[i].tag == 0 || connections[n].tag == 0,
                      "%llu is in two processes", (unsigned long long)connections[i].id);
}

/* Ten connections of one process come to another, which has had nine of its own under the same numbers. */
Test(attribution, descriptors_that_are_passed)
{
    static const char *const calls[] = {"RECVSHIM_CALLS=", "RECVSHIM_CALLS=all"};
    for (size_t way = 0; way < 2; way++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"handed"}, .env = {calls[way]});
        collect(&job, false);
        cr_expect_eq(expect_one_to_one(), 10 + 10 + 18, "%s", calls[way]);
        expect_numbers_of_one_process();
    }
}

Test(attribution, a_connection_made_by_sending)
{
    struct finished job = RUN(.argv = {"fastopen"});
    collect(&job, true);
    cr_expect_eq(expect_one_to_one(), 1);
    long long receives = 0;
    with_tag(said(&job, "port"), (uint32_t)job.pid, &receives);
    cr_expect_eq(receives, 5);
}

static void check_spawner(const char *how)
{
    struct finished job = RUN(.argv = {"spawner", how});
    struct ring ring = collect(&job, false);
    cr_expect_eq(expect_one_to_one(), 5);
    for (size_t i = 0; i < connection_count; i++) {
        const struct connection *one = &connections[i];
        if (one->tag == 0)
            continue;
        bool datagrams = one->type == SOCK_DGRAM;
        cr_expect_eq(one->pid, (uint32_t)job.pid);
        cr_expect_eq(one->receives, 12);
        cr_expect_eq(one->ends, datagrams ? 0 : 1);
        cr_expect_eq(one->closes, 1);
    }
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_EMPTY), 1);
}

Test(attribution, children_of_vfork_that_close_everything)
{
    check_spawner("fork=0");
}

Test(attribution, children_of_fork_that_close_everything)
{
    check_spawner("fork=1");
}

Test(attribution, sockets_inherited_by_exec)
{
    NOT_UNDER_QEMU("it runs no program of its machine by exec");
    struct finished job = RUN(.argv = {"inherited"});
    struct ring ring = collect(&job, false);
    cr_expect_eq(expect_one_to_one(), 8);
    expect_numbers_of_one_process();
    for (size_t i = 0; i < connection_count; i++) {
        const struct connection *one = &connections[i];
        bool child = one->pid == said(&job, "child");
        if (one->tag == 0)
            continue;
        cr_expect_eq(one->bytes, child ? 3 : 1);
        cr_expect_eq(one->ends, child);
        cr_expect_eq(one->closes, child, "tag %lld", one->tag);
    }
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_ACCEPT), 2);
}

Test(attribution, copies_of_a_descriptor)
{
    struct finished job = RUN(.argv = {"copies"});
    struct ring ring = collect(&job, true);
    cr_expect_eq(expect_one_to_one(), 5);
    long long receives = 0;
    with_tag(said(&job, "first"), (uint32_t)job.pid, &receives);
    cr_expect_eq(receives, 1 + 6 + 5 + 2 + 1, "%lld", receives);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1, "read through two descriptors");
}
