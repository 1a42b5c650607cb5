/* What few programs do: each is seen as what it is, and does no harm. */
#include "harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(rare, .init = harness_begin, .fini = harness_end);

#define ALL "RECVSHIM_CALLS=all"

Test(rare, other_names_of_read)
{
    struct finished job = RUN(.argv = {"rare", "names"}, .env = {ALL});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "other"), 2);
    cr_expect_eq(said(&job, "checked"), 3);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 2);
    for (long long i = 0; i < 2; i++) {
        cr_expect_eq(ring.records[i].call, RECVSHIM_CALL_READ);
        cr_expect_eq(ring.records[i].result, 2 + i);
    }
    free_ring(&ring);
}

Test(rare, exit_by_its_other_name)
{
    struct finished job = RUN(.argv = {"rare", "exit"});
    cr_assert(exited_with(&job, 5));
    struct ring ring = read_trace(trace_path());
    cr_expect_str_eq(events_of(&ring), "<R>");
    free_ring(&ring);
}

Test(rare, process_by_clone)
{
    struct finished job = RUN(.argv = {"rare", "clone"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 4);
    for (long long i = 0; i < 3; i++)
        cr_expect_eq(ring.records[i].pid, said(&job, "child"));
    cr_expect_eq(ring.records[3].pid, (uint32_t)job.pid);
    free_ring(&ring);
}

Test(rare, peer_that_is_dissolved)
{
    struct finished job = RUN(.argv = {"rare", "dissolve"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 2);
    cr_expect_eq(ring.records[0].port, said(&job, "first"));
    bool known = (ring.records[1].result_flags & RECVSHIM_RESULT_PEER) != 0;
    cr_expect(!known || ring.records[1].port == said(&job, "second"), "not the one that it had");
    free_ring(&ring);
}

Test(rare, thread_that_does_not_start)
{
    struct finished job = RUN(.argv = {"rare", "thread"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "error"), EAGAIN);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, 2);
    free_ring(&ring);
}

Test(rare, sockets_made_past_libc)
{
    struct finished job = RUN(.argv = {"rare", "raw"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "received"), 2);
    cr_expect_eq(said(&job, "answered"), 1);
    struct ring ring = read_trace(trace_path());
    expect_complete(&ring);
    cr_expect_str_eq(events_of(&ring), "<caRRR>");
    cr_assert_eq(ring.count, 7);
    cr_expect_eq(ring.records[1].port, said(&job, "port"), "connected to");
    cr_expect_eq(ring.records[2].local_port, said(&job, "port"), "accepted at");
    for (long long i = 3; i < 5; i++)
        cr_expect_eq(ring.records[i].socket_type, SOCK_STREAM);
    free_ring(&ring);
}

Test(rare, receives_first_in_a_child_of_vfork)
{
    struct finished job = RUN(.argv = {"rare", "vfork"});
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "received"), 3);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 5);
    for (long long i = 2; i < 5; i++)
        cr_expect_eq(ring.records[i].pid, said(&job, "process"), "not the child's");
    free_ring(&ring);
}

Test(rare, more_names_than_there_is_room_for)
{
    struct finished job = RUN(.argv = {"rare", "many"}, .env = {"RECVSHIM_SIZE=64K"});
    cr_assert(exited_with(&job, 0));
    struct ring ring = read_receives(trace_path());
    long long named = 0;
    for (long long i = 0; i < ring.count; i++) {
        uint32_t name;
        memcpy(&name, ring.records[i].address, sizeof name);
        cr_assert_leq(name, ring.header.names);
        named += name != 0;
    }
    cr_expect_leq(named, 2LL * ring.header.names);
    cr_expect_lt(named, ring.count, "some have none");
    free_ring(&ring);
}
