/* `show --connection N`: the story of one connection. */
#include "cli/story.h"
#include "printing.h"
#include "shell.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(story, .init = use_utc);

static struct recvshim_record life(enum recvshim_event event, uint64_t time, uint16_t flags)
{
    return (struct recvshim_record){.time = 1000000000 + time,
                                    .connection = 7,
                                    .pid = 42,
                                    .tid = 42,
                                    .fd = 5,
                                    .event = (uint8_t)event,
                                    .call = RECVSHIM_CALL_NONE,
                                    .result_flags = flags,
                                    .socket_type = SOCK_STREAM};
}

static struct recvshim_record received(uint64_t time, int64_t result)
{
    struct recvshim_record record = life(RECVSHIM_EVENT_RECEIVE, time, 0);
    record.call = RECVSHIM_CALL_RECV;
    record.requested = 2000;
    record.result = result;
    return record;
}

static struct recvshim_record from(struct recvshim_record record, uint8_t host)
{
    record.result_flags |= RECVSHIM_RESULT_PEER;
    record.family = AF_INET;
    record.port = 51234;
    memcpy(record.address, (uint8_t[]){10, 0, 0, host}, 4);
    return record;
}

static const char *told(const struct recvshim_record *records, size_t count)
{
    static struct event_maker maker;
    struct process_list processes = {0};
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct story story;
    story_begin(&story, 7);
    event_maker_init(&maker, &trace, &processes);
    for (size_t i = 0; i < count; i++) {
        struct event event = {.record = records[i]};
        event_complete(&maker, &event);
        story_add(&story, &event);
    }
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    story_print(&story, &output);
    return take_printed();
}
#define TOLD(...)                                                                                                      \
    told((struct recvshim_record[]){__VA_ARGS__},                                                                      \
         sizeof((struct recvshim_record[]){__VA_ARGS__}) / sizeof(struct recvshim_record))

enum { CONNECTED = RECVSHIM_RESULT_CONNECTED, SEEN = RECVSHIM_RESULT_PEER_ENDED };

Test(story, sums_up)
{
    struct recvshim_record peeked = received(30, 100), end = received(1200000000, 0), refused = life(0, 40, 0);
    struct recvshim_record failed = life(RECVSHIM_EVENT_ERROR, 40, 0);
    failed.error = ECONNABORTED;
    cr_assert_not_null(strstr(TOLD(received(0, 1), failed), "1 error"), "%s", TOLD(received(0, 1), failed));
    peeked.flags = MSG_PEEK;
    end.event = RECVSHIM_EVENT_DISCONNECT;
    end.result_flags = CONNECTED;
    cr_assert_str_eq(TOLD(from(life(RECVSHIM_EVENT_ACCEPT, 0, 0), 9), peeked, received(50, 1000), received(60, 448),
                          end, life(RECVSHIM_EVENT_CLOSE, 1200000001, CONNECTED | SEEN)),
                     "connection 7: 2 receives, 1448 bytes in 1.200 s from 10.0.0.9:51234; the peer closed first\n");
    cr_assert_str_eq(TOLD(received(5, 1), life(RECVSHIM_EVENT_CLOSE, 1005, CONNECTED)),
                     "connection 7: 1 receive, 1 byte in 1 us; the program closed first\n");
    cr_assert_str_eq(TOLD(from(received(5, 1), 9), from(received(6, 1), 8)),
                     "connection 7: 2 receives, 2 bytes in 0 us from several peers; no close in the trace\n");
    end.result = -1;
    end.error = ECONNRESET;
    cr_assert_str_eq(TOLD(end, life(RECVSHIM_EVENT_CLOSE, 1202345678, CONNECTED | SEEN)),
                     "connection 7: 0 receives, 0 bytes in 2.345 ms; disconnect: reset by peer\n");
    cr_assert_str_eq(TOLD(end), "connection 7: 0 receives, 0 bytes in 0 us; disconnect: reset by peer; "
                                "no close in the trace\n");
    refused.event = RECVSHIM_EVENT_CONNECT;
    refused.result = -1;
    refused.error = EINPROGRESS;
    struct recvshim_record again = refused;
    again.error = ECONNREFUSED;
    cr_assert_str_eq(TOLD(refused, again, life(RECVSHIM_EVENT_CLOSE, 40, 0)),
                     "connection 7: 0 receives, 0 bytes, 1 error in 0 us; never connected: ECONNREFUSED; closed\n");
    struct recvshim_record fault = fixture_fault(1000001000, RECVSHIM_ACTION_SHORT, 5, 4711, 1);
    cr_assert_str_eq(TOLD(received(0, 1), fault),
                     "connection 7: 1 receive, 1 byte, 1 fault injected in 1 us; no close in the trace\n");
}

/* As the statistics have it: they and the story are of the same connection. */
Test(story, agrees_with_the_statistics)
{
    struct recvshim_record sent = received(20, 53), reset = received(30, -1), end = received(50, 0);
    sent.flags = MSG_ERRQUEUE;
    cr_assert_str_eq(TOLD(received(5, 1), sent), "connection 7: 1 receive, 1 byte in 0 us; no close in the trace\n");
    reset.event = end.event = RECVSHIM_EVENT_DISCONNECT;
    reset.error = ECONNRESET;
    reset.result_flags = end.result_flags = CONNECTED;
    cr_assert_str_eq(TOLD(reset, received(40, 5), end, life(RECVSHIM_EVENT_CLOSE, 1000060, CONNECTED | SEEN)),
                     "connection 7: 1 receive, 5 bytes in 1.000 ms; disconnect: reset by peer\n");
}

TestSuite(story_shown, .init = shell_begin, .fini = shell_end, .timeout = 300);

/* Of connection 7 with a trace around it: a process that starts and exits, and another connection. */
static void make_story(uint64_t connections)
{
    struct recvshim_header header = fixture_header();
    int memory = fixture_file(&header, 0);
    struct trace trace;
    cr_assert_null(trace_map(dup(memory), TRACE_CONTROL, &trace).what);
    fixture_process(&trace, 42, 0, "httpd");
    atomic_store(&trace.counters->connections, connections);
    struct recvshim_record records[] = {life(RECVSHIM_EVENT_START, 0, 0),
                                        from(life(RECVSHIM_EVENT_ACCEPT, 1000, 0), 9),
                                        from(received(124000, 448), 9),
                                        received(125000, 17),
                                        life(RECVSHIM_EVENT_CLOSE, 1500001000, CONNECTED),
                                        life(RECVSHIM_EVENT_EXIT, 2000000000, 0)};
    records[0].connection = records[5].connection = 0;
    records[0].fd = records[5].fd = -1;
    records[1].result = 5;
    records[3].connection = 8;
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        fixture_store(&trace, 0, &records[i]);
    void *bytes = malloc(trace.layout.size);
    memcpy(bytes, trace.base, trace.layout.size);
    write_file(bytes, trace.layout.size, 0600);
    free(bytes);
    trace_close(&trace);
    close(memory);
}

Test(story_shown, from_accept_to_close)
{
    make_story(8);
    setenv("TZ", "UTC", 1);
    cr_assert_eq(STATUS("show", "--connection", "7", path), 0);
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(printed,
                     "2001-09-09 01:46:40.000001 +0.000000 httpd[42] accept() = 5  from 10.0.0.9:51234\n"
                     "2001-09-09 01:46:40.000124 +0.000123 httpd[42] recv(5, 2000) = 448  from 10.0.0.9:51234\n"
                     "2001-09-09 01:46:41.500001 +1.500000 httpd[42] close(5)  program closed first\n"
                     "connection 7: 1 receive, 448 bytes in 1.500 s from 10.0.0.9:51234; "
                     "the program closed first\n");
    cr_assert_eq(STATUS("show", "--connection", "7,8", path), 0);
    cr_assert_null(strstr(printed, "connection"));
    cr_assert_null(strstr(printed, "+0.0"));
    cr_assert_eq(STATUS("show", "--connection", "7", "--event", "close", path), 0);
    cr_assert_str_eq(printed, "2001-09-09 01:46:41.500001 httpd[42] close(5)  program closed first\n");
    cr_assert_eq(STATUS("show", "--connection", "7", "--format", "json", path), 0);
    cr_assert_null(strstr(printed, "connection 7"));
    cr_assert_eq(STATUS("show", path), 0);
    cr_assert_not_null(strstr(printed, " httpd[42] +++ started +++\n"));
    cr_assert_null(strstr(printed, "connection"));
}

Test(story_shown, says_what_is_not_there)
{
    make_story(8);
    char expected[192];
    snprintf(expected, sizeof expected, "recvshim: %s: has no event of connection 99; its connections are 1 to 8\n",
             path);
    cr_assert_eq(STATUS("show", "--connection", "99", path), 1);
    cr_assert_str_eq(said, expected);
    cr_assert_str_eq(printed, "");
    cr_assert_eq(STATUS("show", "--connection", "7,99,8", "--format", "csv", path), 1);
    cr_assert_str_eq(said, expected);
    cr_assert_eq(STATUS("show", "--connection", "7", "--event", "empty", path), 0,
                 "it is there, but has none of these");
    cr_assert_str_eq(said, "");
    make_story(0);
    cr_assert_eq(STATUS("show", "--connection", "99", path), 1);
    expect_said("has no event of connection 99; no connection was numbered in it");
    cr_assert_eq(STATUS("show", "--help"), 0);
    cr_assert_not_null(strstr(printed, "has no event of a connection\n"));
}
