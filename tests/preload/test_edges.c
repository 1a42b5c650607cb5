/* Odd arguments, signals in odd places, and children that odd programs make: natively all of it works. */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

TestSuite(edges, .init = harness_begin, .fini = harness_end);

static struct finished as_natively(const char *way, const char *after)
{
    struct finished native = RUN(.argv = {"edges", way}, .native = true, .after = after);
    struct finished job = RUN(.argv = {"edges", way}, .after = after);
    cr_assert(exited_with(&native, 0));
    cr_assert(exited_with(&job, 0));
    cr_assert_str_eq(job.out, native.out, "%s", job.out);
    return job;
}

static const struct recvshim_record *find(const struct ring *ring, enum recvshim_event event, long long requested)
{
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].event == event && (long long)ring->records[i].requested == requested)
            return &ring->records[i];
    cr_assert_fail("event %d of %lld bytes is not there", (int)event, requested);
    return NULL;
}

/* Receives from so many, of which each asked for another length. */
static void expect_connections(const struct ring *ring, long long number)
{
    long long seen = 0;
    for (long long i = 0; i < ring->count; i++) {
        bool again = false;
        for (long long n = 0; n < i && is_receive(&ring->records[i]); n++) {
            bool same = is_receive(&ring->records[n]) && ring->records[n].requested == ring->records[i].requested;
            if (is_receive(&ring->records[n]))
                cr_expect_eq(ring->records[n].connection == ring->records[i].connection, same);
            again |= same;
        }
        seen += is_receive(&ring->records[i]) && !again;
    }
    cr_expect_eq(seen, number);
}

Test(edges, the_frame_of_a_caller_of_syscall_is_not_written_to)
{
    as_natively("read-only-frame", NULL);
}

Test(edges, syscall_with_six_arguments)
{
    as_natively("six-arguments", NULL);
}

Test(edges, a_handler_that_vforks_in_the_midst_of_vfork)
{
    as_natively("vfork-in-handler", "lower_vfork.so");
}

Test(edges, a_filter_of_a_child_of_vfork_is_not_its_parents)
{
    NOT_UNDER_QEMU("it has no filters of seccomp");
    as_natively("vfork-filter", NULL);
    struct ring ring = read_trace(trace_path());
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_DISCONNECT)
            cr_expect(ring.records[i].result_flags & RECVSHIM_RESULT_TCP);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_DISCONNECT), 1);
}

Test(edges, what_a_child_of_vfork_receives_is_not_its_parents)
{
    struct finished job = as_natively("vfork-receives", NULL);
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *own = find(&ring, RECVSHIM_EVENT_RECEIVE, said(&job, "one"));
    const struct recvshim_record *childs = find(&ring, RECVSHIM_EVENT_DISCONNECT, said(&job, "other"));
    const struct recvshim_record *end = find(&ring, RECVSHIM_EVENT_DISCONNECT, said(&job, "one"));
    cr_expect_neq(own->connection, childs->connection);
    cr_expect_eq(own->connection, end->connection);
}

Test(edges, a_process_forked_by_a_child_of_vfork)
{
    as_natively("vfork-forks", NULL);
    struct ring ring = read_trace(trace_path());
    expect_connections(&ring, 3);
}

Test(edges, a_handler_that_jumps_out_of_vfork)
{
    NOT_UNDER_QEMU("vfork is a fork");
    struct finished job = as_natively("vfork-jumped-out-of", NULL);
    struct ring ring = read_trace(trace_path());
    expect_connections(&ring, 3);
    int exits = 0;
    for (long long i = 0; i < ring.count; i++)
        exits += ring.records[i].event == RECVSHIM_EVENT_EXIT && ring.records[i].pid == (uint32_t)job.pid;
    cr_expect_eq(exits, 1);
}

Test(edges, a_child_of_clone_in_its_parents_memory)
{
    struct finished job = as_natively("cloned", NULL);
    struct ring ring = read_trace(trace_path());
    expect_connections(&ring, 4);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CLOSE), 4);
    for (long long i = 0; i < ring.count; i++)
        if (ring.records[i].event == RECVSHIM_EVENT_EXIT)
            cr_expect_eq(ring.records[i].result, 0);
    cr_expect_eq(said(&job, "status"), 9 << 8);
}

Test(edges, connected_under_a_number_that_is_another_connections)
{
    struct finished job =
        RUN(.argv = {"edges", "connect-reused"}, .after = "lower_reuse.so", .env = {"LOWER_REUSE=connect"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *received = find(&ring, RECVSHIM_EVENT_RECEIVE, 200);
    cr_expect_eq(received->family, AF_UNIX);
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_CONNECT), 1);
    for (long long i = 0; i < ring.count; i++) {
        if (ring.records[i].event != RECVSHIM_EVENT_CONNECT)
            continue;
        cr_expect_neq(ring.records[i].connection, received->connection);
        cr_expect_eq(ring.records[i].port, said(&job, "port"));
    }
}

Test(edges, an_unknown_socket_whose_number_is_another_connections)
{
    struct finished job = RUN(.argv = {"edges", "unknown-reused"}, .after = "lower_reuse.so");
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    const struct recvshim_record *ended = find(&ring, RECVSHIM_EVENT_DISCONNECT, 1);
    const struct recvshim_record *other = find(&ring, RECVSHIM_EVENT_DISCONNECT, 200);
    cr_expect_neq(ended->connection, other->connection);
}

Test(edges, lengths_at_impossible_addresses)
{
    as_natively("lengths", NULL);
    struct finished idle = RUN(.argv = {"edges", "lengths"}, .env = {"RECVSHIM_TRACE"});
    cr_assert(exited_with(&idle, 0));
}

Test(edges, a_listener_that_could_not_be_connected)
{
    struct finished job = RUN(.argv = {"edges", "refused-then-listening"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_trace(trace_path());
    cr_expect_eq(count_events(&ring, RECVSHIM_EVENT_ACCEPT), 1);
    for (long long i = 0; i < ring.count; i++) {
        const struct recvshim_record *record = &ring.records[i];
        if (record->event != RECVSHIM_EVENT_ACCEPT)
            continue;
        bool has_peer = (record->result_flags & RECVSHIM_RESULT_PEER) != 0;
        cr_expect(!has_peer || record->port == said(&job, "client"), "port %u", record->port);
        cr_expect_eq(record->local_port, said(&job, "listener"));
    }
}

/* On i386 fcntl has two forms, of which each object has the one that it was linked with. */
Test(edges, open_file_description_locks)
{
    static const char *const victims[] = {"locks", "old_locks"};
    for (size_t i = 0; i < 2; i++) {
        struct finished native = RUN(.argv = {victims[i]}, .native = true);
        struct finished job = RUN(.argv = {victims[i]});
        cr_assert(exited_with(&native, 0));
        cr_expect_eq(said(&native, "start"), 100);
        cr_expect_str_eq(job.out, native.out, "%s", victims[i]);
    }
}
