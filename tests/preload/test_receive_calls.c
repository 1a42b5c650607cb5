/* Each receive call under RECVSHIM_CALLS=all: the same treatment for all, and what is no socket left alone. */
#include "harness.h"

#include "trace/names.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(receive_calls, .init = harness_begin, .fini = harness_end);

#define ALL "RECVSHIM_CALLS=all"

static const char *option_of(uint32_t call)
{
    static char text[32];
    snprintf(text, sizeof text, "call=%s", call_names[call]);
    return text;
}

/* Run a way natively and traced, under the settings; a path of its own for each trace. */
static struct ring run_by(const char *victim, const char *way, uint32_t call, const char *setting, bool as_natively)
{
    const char *argument = call < RECVSHIM_CALLS ? option_of(call) : NULL;
    unlink(trace_path());
    struct finished native = RUN(.argv = {victim, way, argument}, .native = true);
    struct finished job = RUN(.argv = {victim, way, argument}, .env = {ALL, setting});
    cr_assert_eq(job.status, 0, "%s %s: %#x %s", way, argument, (unsigned)job.status, job.err);
    cr_expect_str_empty(job.err);
    if (as_natively)
        cr_expect_str_eq(job.out, native.out, "%s %s, natively: %s, traced: %s", way, argument, native.out, job.out);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    for (long long i = 0; i < ring.count; i++)
        if (call < RECVSHIM_CALLS)
            cr_expect_eq(ring.records[i].call, call, "%s", option_of(call));
    return ring;
}

#define FOR_EACH_CALL(call) for (uint32_t call = 0; call < RECVSHIM_CALLS; call++)

Test(receive_calls, a_stream_to_its_end)
{
    NOT_UNDER_QEMU("it cuts TCP_INFO to an int");
    FOR_EACH_CALL(call)
    {
        struct ring ring = run_by("by_call", "stream", call, NULL, true);
        cr_assert_eq(ring.count, 32, "%s: %lld", option_of(call), ring.count); /* 3000 bytes by 97, and the end once */
        long long bytes = 0;
        for (long long i = 0; i < ring.count - 1; i++) {
            cr_expect_eq(ring.records[i].event, RECVSHIM_EVENT_RECEIVE);
            cr_expect_eq(ring.records[i].requested, 97);
            cr_expect_eq(ring.records[i].connection, ring.records[0].connection);
            cr_expect_eq(ring.records[i].socket_type, SOCK_STREAM);
            cr_expect(ring.records[i].result_flags & RECVSHIM_RESULT_PEER);
            bytes += ring.records[i].result;
        }
        cr_expect_eq(bytes, 3000);
        cr_expect_eq(ring.records[31].event, RECVSHIM_EVENT_DISCONNECT);
        cr_expect_eq(ring.records[31].requested, 97);
        cr_expect(ring.records[31].result_flags & RECVSHIM_RESULT_TCP);
    }
}

Test(receive_calls, interruptions_are_retried)
{
    FOR_EACH_CALL(call)
    {
        struct finished native = RUN(.argv = {"by_call", "interrupted", option_of(call)}, .native = true);
        cr_expect_eq(said(&native, "interrupted"), 1, "%s", option_of(call));
        unlink(trace_path());
        struct finished job = RUN(.argv = {"by_call", "interrupted", option_of(call)}, .env = {ALL});
        cr_expect_eq(said(&job, "result"), 4, "%s", option_of(call));
        struct ring ring = read_receives(trace_path());
        cr_assert_str_eq(events_of(&ring), "R");
        cr_expect_geq(ring.records[0].retries, 1);
        cr_expect_eq(ring.records[0].call, call);
        struct finished never = RUN(.argv = {"by_call", "interrupted", option_of(call)},
                                    .env = {ALL, "RECVSHIM_EINTR=never", "RECVSHIM_TRACE"});
        cr_expect_eq(said(&never, "interrupted"), 1, "%s", option_of(call));
        struct finished untraced =
            RUN(.argv = {"by_call", "interrupted", option_of(call)}, .env = {ALL, "RECVSHIM_TRACE"});
        cr_expect_eq(said(&untraced, "result"), 4, "%s", option_of(call));
    }
}

Test(receive_calls, unhandled_ones_are_as_ever)
{
    for (uint32_t call = RECVSHIM_CALL_RECVMSG; call < RECVSHIM_CALLS; call++) {
        unlink(trace_path());
        struct finished job = RUN(.argv = {"by_call", "interrupted", option_of(call)});
        cr_expect_eq(said(&job, "interrupted"), 1, "%s", option_of(call));
        struct ring ring = read_receives(trace_path());
        cr_expect_eq(ring.count, 0, "%s", option_of(call));
    }
}

Test(receive_calls, timeouts_stay_deadlines)
{
    FOR_EACH_CALL(call)
    {
        /* Where the machine stood still nothing may have come before the time was over. */
        struct finished job;
        int attempt = 0;
        do {
            unlink(trace_path());
            job = RUN(.argv = {"by_call", "timeout", option_of(call)}, .env = {ALL});
        } while (said(&job, "ticks") < 2 && ++attempt < 10);
        cr_expect_eq(said(&job, "expired"), 1, "%s", option_of(call));
        cr_expect_geq(said(&job, "milliseconds"), 200, "%s", option_of(call));
        struct ring ring = read_receives(trace_path());
        cr_assert_str_eq(events_of(&ring), "w", "%s", option_of(call));
        cr_expect_geq(ring.records[0].retries, 1);
    }
}

Test(receive_calls, all_pieces_of_a_datagram_that_came_late)
{
    static const uint32_t calls[] = {RECVSHIM_CALL_READV, RECVSHIM_CALL_RECVMSG};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct finished job = RUN(.argv = {"by_call", "scattered", option_of(calls[i])}, .env = {ALL});
        cr_expect_eq(said(&job, "result"), 40, "%s", option_of(calls[i]));
        cr_expect_eq(said(&job, "right"), 40, "%s", option_of(calls[i]));
    }
}

Test(receive_calls, datagrams_and_their_sources)
{
    FOR_EACH_CALL(call)
    {
        struct ring ring = run_by("by_call", "datagrams", call, "RECVSHIM_EVENTS=receive,empty", false);
        struct finished job = RUN(.argv = {"by_call", "datagrams", option_of(call)}, .env = {ALL, "RECVSHIM_TRACE"});
        cr_expect_eq(said(&job, "result"), 8);
        cr_expect_eq(said(&job, "right"), 1);
        cr_expect_geq(ring.count, 2, "%s", option_of(call));
        cr_expect_eq(ring.records[0].event, RECVSHIM_EVENT_RECEIVE);
        cr_expect_eq(ring.records[0].result, 8);
        cr_expect_eq(ring.records[1].event, RECVSHIM_EVENT_EMPTY);
        /* recvmsg and recvmmsg without a name, read and readv: it is asked for all the same. */
        for (int i = 0; i < 2; i++) {
            bool told = (ring.records[i].result_flags & RECVSHIM_RESULT_PEER) != 0;
            cr_expect(told || (call == RECVSHIM_CALL_RECVMMSG && i == 1), "%s %d", option_of(call), i);
        }
        cr_expect_eq(ring.records[0].family, AF_INET6);
    }
}

Test(receive_calls, datagrams_as_natively)
{
    FOR_EACH_CALL(call)
    {
        struct finished native = RUN(.argv = {"by_call", "datagrams", option_of(call)}, .native = true);
        struct finished job = RUN(.argv = {"by_call", "datagrams", option_of(call)}, .env = {ALL});
        static const char *const keys[] = {"result", "right", "source", "room", "empty", "nothing"};
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            cr_expect_eq(said(&job, keys[i]), said(&native, keys[i]), "%s: %s", option_of(call), keys[i]);
    }
}

Test(receive_calls, a_reset)
{
    FOR_EACH_CALL(call)
    {
        struct ring ring = run_by("by_call", "reset", call, NULL, true);
        cr_assert_str_eq(events_of(&ring), "d", "%s", option_of(call));
        cr_expect_eq(ring.records[0].error, ECONNRESET);
        cr_expect_eq(ring.records[0].requested, 16);
    }
}

Test(receive_calls, what_the_kernel_refuses)
{
    NOT_UNDER_QEMU("it takes other time-outs");
    FOR_EACH_CALL(call)
    {
        run_by("by_call", "refused", call, NULL, true);
        run_by("by_call", "refused", call, "RECVSHIM_FAULT=*:short=1", true);
    }
}

/* A filter that lets the program's own call pass kills it for any other in its place. */
Test(receive_calls, no_other_system_call_under_a_filter)
{
    NOT_UNDER_QEMU("it has no filters of seccomp");
    static const char *const rules[] = {NULL, "RECVSHIM_FAULT=*:short=5:times=1",
                                        "RECVSHIM_FAULT=*:truncate=5:peer=127.0.0.1", "RECVSHIM_FAULT=*:drop:port=1",
                                        "RECVSHIM_FAULT=*:eof:after=1000;*:interrupt=2"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        FOR_EACH_CALL(call)
    run_by("by_call", "filtered", call, rules[i], true);
    struct finished job = RUN(.argv = {"by_call", "strict"}, .env = {ALL});
    cr_expect(exited_with(&job, 0), "%#x", (unsigned)job.status);
    cr_expect_eq(said(&job, "pipe"), 5);
}

/* Another preload that stands in for just one of them. */
Test(receive_calls, the_next_read_is_called)
{
    struct finished job = RUN(.argv = {"by_call", "datagrams", "call=read"}, .env = {ALL}, .after = "lower_read.so");
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "lower_reads"), 3);
}

Test(receive_calls, more_than_there_can_be)
{
    struct finished native = RUN(.argv = {"no_socket", "long"}, .native = true);
    struct finished job = RUN(.argv = {"no_socket", "long"}, .env = {ALL});
    cr_expect_str_eq(job.out, native.out, "natively: %s, traced: %s", native.out, job.out);
}

/* ---- read and readv of what is no socket ---- */

Test(receive_calls, files_and_pipes_are_left_alone)
{
    struct ring ring = run_by("no_socket", "files", RECVSHIM_CALLS, NULL, true);
    cr_expect_eq(ring.count, 0);
    ring = run_by("no_socket", "files", RECVSHIM_CALLS, "RECVSHIM_FAULT=*:error=EIO", true);
    cr_expect_eq(ring.count, 0);
}

/* Once is it asked about, although it has been met as a connection. */
Test(receive_calls, a_pipe_that_is_taken_for_a_socket)
{
    NOT_UNDER_QEMU("it has no filters of seccomp");
    struct ring ring = run_by("no_socket", "tried", RECVSHIM_CALLS, NULL, true);
    cr_assert_str_eq(events_of(&ring), "E", "%s", events_of(&ring));
}

Test(receive_calls, numbers_that_go_round)
{
    struct ring ring = run_by("no_socket", "reused", RECVSHIM_CALLS, NULL, true);
    cr_assert_str_eq(events_of(&ring), "RRRRR", "%s", events_of(&ring));
    for (int i = 0; i < 5; i++)
        cr_expect_eq(ring.records[i].result, 6);
}

/* Whatever is noted of the number, the file that took the socket's place is read as one. */
Test(receive_calls, sockets_that_libc_replaced)
{
    run_by("no_socket", "replaced", RECVSHIM_CALLS, NULL, true);
    run_by("no_socket", "replaced", RECVSHIM_CALLS, "RECVSHIM_TRACING=off", true);
    run_by("no_socket", "replaced", RECVSHIM_CALLS, "RECVSHIM_EINTR=intent", true);
}

Test(receive_calls, copies_of_files_take_no_places)
{
    struct finished job = RUN(.argv = {"no_socket", "copies"},
                              .env = {ALL, "RECVSHIM_FAULT=read:error=EIO:when=4:per=connection", "RECVSHIM_TRACE"});
    cr_expect_eq(said(&job, "failed"), 2);
}

Test(receive_calls, a_number_that_was_closed)
{
    struct ring ring = run_by("no_socket", "closed", RECVSHIM_CALLS, NULL, true);
    cr_assert_str_eq(events_of(&ring), "R", "%s", events_of(&ring));
}

Test(receive_calls, streams_in_memory)
{
    run_by("no_socket", "memory", RECVSHIM_CALLS, NULL, true);
}

Test(receive_calls, a_socket_that_was_passed)
{
    struct ring ring = run_by("no_socket", "passed", RECVSHIM_CALLS, NULL, true);
    cr_assert_str_eq(events_of(&ring), "RR", "%s", events_of(&ring));
    cr_expect_eq(ring.records[0].call, RECVSHIM_CALL_RECVMSG);
    cr_expect_eq(ring.records[1].call, RECVSHIM_CALL_READ);
    cr_expect_eq(ring.records[1].result, 6);
    cr_expect_eq(ring.records[1].socket_type, SOCK_STREAM);
}

/* ---- recvmsg and recvmmsg ---- */

Test(receive_calls, ancillary_data_and_flags)
{
    struct ring ring = run_by("messages", "ancillary", RECVSHIM_CALLS, NULL, true);
    cr_assert_str_eq(events_of(&ring), "RRR");
    run_by("messages", "ancillary", RECVSHIM_CALLS, "RECVSHIM_TRACING=off", true);
    run_by("messages", "ancillary", RECVSHIM_CALLS, "RECVSHIM_FAULT=*:interrupt=3", true);
}

Test(receive_calls, each_message_of_a_batch)
{
    static const int64_t results[] = {1, 2, 16, 0, 5, 1};
    struct ring ring = run_by("messages", "batch", RECVSHIM_CALL_RECVMMSG, NULL, true);
    cr_assert_str_eq(events_of(&ring), "RRReRR", "%s", events_of(&ring));
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(ring.records[i].result, results[i]);
        cr_expect_eq(ring.records[i].requested, 16);
        cr_expect(ring.records[i].result_flags & RECVSHIM_RESULT_PEER);
        bool first = i == 5 || i % 2 == 0;
        cr_expect_eq(ring.records[i].port == ring.records[0].port, first, "whose it is: %d", i);
    }
}

/* It stays one call, from the first on, also where its bytes are counted. */
Test(receive_calls, a_batch_that_no_rule_has_to_do_with)
{
    NOT_UNDER_QEMU("recvmmsg is a loop of its own");
    static const char *const rules[] = {"RECVSHIM_FAULT=recvfrom:error=EIO", "RECVSHIM_FAULT=*:error=EIO:fd=200",
                                        "RECVSHIM_FAULT=recvfrom:error=EIO:after=1"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        run_by("messages", "together", RECVSHIM_CALLS, rules[i], true);
    struct finished job = RUN(.argv = {"messages", "together"}, .env = {ALL, "RECVSHIM_FAULT=recv:error=EIO:after=80"});
    cr_expect_eq(said(&job, "count"), 8);
    cr_expect_eq(said(&job, "recv"), -EIO);
    job = RUN(.argv = {"messages", "together"}, .env = {ALL, "RECVSHIM_FAULT=recv:error=EIO:after=81"});
    cr_expect_eq(said(&job, "recv"), 1);
}

Test(receive_calls, a_timeout_of_a_batch)
{
    struct ring ring = run_by("messages", "timeout", RECVSHIM_CALL_RECVMMSG, NULL, false);
    cr_assert_str_eq(events_of(&ring), "R");
    cr_expect_geq(ring.records[0].retries, 1);
    struct finished job = RUN(.argv = {"messages", "timeout"}, .env = {ALL, "RECVSHIM_TRACE"});
    cr_expect_eq(said(&job, "count"), 1);
    cr_expect_eq(said(&job, "length"), 4);
    cr_expect_eq(said(&job, "left"), 0, "counted from the call's beginning");
}

Test(receive_calls, what_is_left_of_a_timeout)
{
    NOT_UNDER_QEMU("recvmmsg is a loop of its own");
    run_by("messages", "left", RECVSHIM_CALLS, NULL, true);
    run_by("messages", "left", RECVSHIM_CALLS, "RECVSHIM_FAULT=*:interrupt=2", true);
}

Test(receive_calls, a_flag_that_is_no_message_s)
{
    NOT_UNDER_QEMU("recvmmsg is a loop of its own");
    run_by("messages", "packets", RECVSHIM_CALLS, "RECVSHIM_FAULT=*:interrupt=2", true);
}

/* What nobody wants to know is not looked at. */
Test(receive_calls, a_batch_that_is_shorter_than_it_says)
{
    NOT_UNDER_QEMU("recvmmsg is a loop of its own");
    struct finished native = RUN(.argv = {"messages", "beyond"}, .native = true);
    if (killed_by(&native, SIGSEGV))
        SKIP("libc's own recvmmsg looks at them all, as that with 64-bit times does on i386");
    struct finished job = RUN(.argv = {"messages", "beyond"}, .env = {ALL, "RECVSHIM_TRACE"});
    cr_assert(exited_with(&job, 0), "%#x", (unsigned)job.status);
    cr_expect_eq(said(&job, "count"), 1);
}

Test(receive_calls, the_end_in_a_batch_is_told_once)
{
    struct ring ring = run_by("messages", "end", RECVSHIM_CALL_RECVMMSG, NULL, true);
    cr_assert_str_eq(events_of(&ring), "Rd", "%s", events_of(&ring));
}

/* ---- faults ---- */

Test(receive_calls, short_receives_lose_nothing)
{
    FOR_EACH_CALL(call)
    {
        unlink(trace_path());
        struct finished job =
            RUN(.argv = {"by_call", "stream", option_of(call)}, .env = {ALL, "RECVSHIM_FAULT=*:short=1..7"});
        cr_expect_eq(said(&job, "right"), 1, "%s", option_of(call));
        cr_expect_geq(said(&job, "receives"), 3000 / 7, "%s", option_of(call));
        struct ring ring = read_receives(trace_path());
        for (long long i = 0; i < ring.count; i++)
            cr_expect_leq(ring.records[i].result, 7);
    }
}

Test(receive_calls, other_faults)
{
    static const struct {
        const char *rule, *way, *key;
        long long value;
    } rows[] = {
        {"RECVSHIM_FAULT=*:corrupt=1:times=1", "stream", "right", 0},
        {"RECVSHIM_FAULT=*:corrupt=1:times=1", "stream", "bytes", 3000},
        {"RECVSHIM_FAULT=*:eof:when=3", "stream", "receives", 2},
        {"RECVSHIM_FAULT=*:eof:when=3", "stream", "end", 0},
        {"RECVSHIM_FAULT=*:error=ECONNRESET:when=5", "stream", "receives", 4},
        {"RECVSHIM_FAULT=*:error=ECONNRESET:when=5", "stream", "end", -1},
        {"RECVSHIM_FAULT=*:interrupt=3", "stream", "right", 1},
        {"RECVSHIM_FAULT=*:delay=1ms:times=2", "stream", "right", 1},
        {"RECVSHIM_FAULT=*:truncate=3:times=1", "datagrams", "result", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FOR_EACH_CALL(call)
        {
            unlink(trace_path());
            struct finished job = RUN(.argv = {"by_call", rows[i].way, option_of(call)}, .env = {ALL, rows[i].rule});
            cr_expect_eq(said(&job, rows[i].key), rows[i].value, "%s %s: %s %lld", option_of(call), rows[i].rule,
                         rows[i].key, said(&job, rows[i].key));
            struct ring ring = read_trace(trace_path());
            cr_expect_geq(count_events(&ring, RECVSHIM_EVENT_FAULT), 1, "%s", option_of(call));
        }
    }
}

/* Whoever throws a message away has what came with it, and room is there again for what comes with the next. */
Test(receive_calls, descriptors_of_dropped_messages_are_closed)
{
    struct finished native = RUN(.argv = {"messages", "rights"}, .native = true);
    cr_expect_eq(said(&native, "arrived"), 20);
    struct finished job = RUN(.argv = {"messages", "rights"}, .env = {ALL, "RECVSHIM_FAULT=recvmsg:drop:when=2+3"});
    cr_expect_lt(said(&job, "arrived"), 20);
    cr_expect_eq(said(&job, "left_over"), 0);
    job =
        RUN(.argv = {"messages", "cancelled"}, .env = {ALL, "RECVSHIM_FAULT=recvmsg:drop"}, .after = "lower_cancel.so");
    cr_expect_eq(said(&job, "cancelled"), 1);
    cr_expect_eq(said(&job, "left_over"), 0);
}
