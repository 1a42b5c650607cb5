/* `recvshim stats` as a user meets it. */
#include "cli/totals.h"
#include "sample.h"
#include "shell.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void begin(void)
{
    shell_begin();
    setenv("TZ", "UTC", 1);
}

TestSuite(stats, .init = begin, .fini = shell_end, .timeout = 300);

static void expect_printed(const char *part)
{
    cr_assert_not_null(strstr(printed, part), "%s\nis not in\n%s", part, printed);
}

Test(stats, help_and_usage)
{
    cr_assert_eq(STATUS("stats", "--help"), 0);
    expect_printed("--interval");
    expect_printed("--connection");
    cr_assert_eq(STATUS("stats"), 2);
    expect_said("recvshim: stats: give a TRACE");
    cr_assert_eq(STATUS("stats", "--format", "csv", path), 2);
    expect_said("--format=csv: must be text, json or prometheus");
    cr_assert_eq(STATUS("stats", "--sort", "size", path), 2);
    expect_said("--sort=size: must be bytes");
    cr_assert_eq(STATUS("stats", "--top", "0", path), 2);
    cr_assert_eq(STATUS("stats", "--top", "-1", path), 2);
    cr_assert_eq(STATUS("stats", "--top", "5x", path), 2);
    expect_said("--top=5x: must be all, or a number from 1");
    const char *intervals[] = {"", "0", "-1", "nan", "1s", "inf"};
    for (size_t i = 0; i < sizeof intervals / sizeof intervals[0]; i++) {
        cr_assert_eq(STATUS("stats", "--interval", (char *)(uintptr_t)intervals[i], path), 2);
        expect_said("must be seconds");
    }
}

Test(stats, refuses_what_is_no_trace)
{
    cr_assert_eq(STATUS("stats", path), 1);
    expect_said("cannot be opened: No such file");
    write_file("nothing", 7, 0600);
    cr_assert_eq(STATUS("stats", path), 1);
    expect_said("is not a recvshim trace");
    cr_assert_str_eq(printed, "");
    make_trace();
    cr_assert_eq(STATUS("stats", path, "-o", path), 1);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("stats", path, "--format", "prometheus", "-o", path), 1);
    expect_said("is the trace itself");
    cr_assert_eq(STATUS("stats", path, "-o", "/dev/full"), 1);
    expect_said("/dev/full: cannot be written: No space left");
    cr_assert_eq(truncate(path, 66000), 0);
    cr_assert_eq(STATUS("stats", path), 1);
    expect_said("has been truncated");
}

Test(stats, prints_tables)
{
    struct trace trace = sample_trace();
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort", "connection", path), 0);
    cr_assert_str_eq(said, "");
    expect_printed("ID PID COMM");
    expect_printed("\n 1  42 curl                 127.0.0.1:5555 10.0.0.1:80   103        2 2001-09-09 01:46:40.000 "
                   "2001-09-09 01:46:41.500   1.50 s eof          peer 1.23 ms      5\n");
    expect_printed(" *:53           several       100        2 ");
    expect_printed(" ECONNREFUSED ");
    expect_printed(" exit ");
    expect_printed("a\\x1b[31m\"b\\\\x0a\\xff");
    expect_printed("fe80::1%2           0        1    50      0       0");
    expect_printed("size of a receive: p50 50 B, p90 100 B, p99 100 B, max 100 B\n");
    expect_printed("[32 B, 64 B)                 2 |@@@@");
    expect_printed("time in a receiving call: p50 1.50 us, p90 1.50 us, p99 1.50 us, max 1.50 us\n[1.02 us, 2.04 us)");
    expect_printed("\n4 connections: 2 ended with their process, 1 never connected, 1 eof\n");
    expect_printed("210 bytes in 5 receives, 2 retries\n");
    expect_printed("events: 5 receive 1 disconnect 1 connect 1 accept\n");
    expect_printed("errors: 1 ECONNREFUSED\nlosses: none\n");
    for (const char *at = printed; *at != '\0'; at++)
        cr_assert(*at == '\n' || ((unsigned char)*at >= 0x20 && *at != 0x7f));
}

Test(stats, counts_injected_faults)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 64);
    sample_receive(&trace, 7, 1, 100);
    for (uint64_t i = 1; i <= 3; i++)
        sample_store(&trace,
                     fixture_fault(SAMPLE_SECOND, i < 3 ? RECVSHIM_ACTION_SHORT : RECVSHIM_ACTION_ERROR, i, 9, i));
    cr_assert_eq(STATUS("stats", path), 0);
    expect_printed("\n100 bytes in 1 receives, 0 retries\n");
    expect_printed("\nevents: 1 receive 3 fault\nerrors: none\ninjected faults: 1 error 2 short\nlosses: none\n");
    cr_assert_eq(STATUS("stats", "--format=json", path), 0);
    expect_printed("},\"injections\":{\"error\":1,\"eof\":0,\"short\":2,");
    cr_assert_eq(STATUS("stats", "--format=prometheus", path), 0);
    expect_printed("# TYPE recvshim_faults_injected_total counter\n"
                   "recvshim_faults_injected_total{action=\"error\"} 1\n"
                   "recvshim_faults_injected_total{action=\"eof\"} 0\n"
                   "recvshim_faults_injected_total{action=\"short\"} 2\n");
    cr_assert_null(strstr(printed, "action=\"unknown\""));
    expect_printed("recvshim_events_total{event=\"fault\",call=\"recv\"} 3\n");
    check_with_promtool();
    cr_assert_eq(STATUS("stats", "--event=receive", path), 0);
    cr_assert_null(strstr(printed, "fault"), "who injects none need not know of them");
    trace_close(&trace);
}

Test(stats, leaves_out_what_says_nothing)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 64);
    fixture_process(&trace, 42, 0, "server");
    for (uint32_t i = 0; i < 30; i++) { /* as a shell script has them */
        fixture_process(&trace, 100 + i, 0, "readlink");
        struct recvshim_record record = sample_event(RECVSHIM_EVENT_START, 0, 0);
        record.pid = record.tid = 100 + i;
        sample_store(&trace, record);
    }
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", path), 0);
    expect_printed("\n30 processes without a connection or a receive\n");
    cr_assert_null(strstr(printed, "readlink"));
    cr_assert_null(strstr(printed, "--top"));
    expect_printed("\n0 connections\n");
    cr_assert_null(trace_open(path, TRACE_RECORD, &trace).what);
    struct recvshim_record record = sample_event(RECVSHIM_EVENT_ACCEPT, 1, 0);
    sample_store(&trace, record);
    record = sample_event(RECVSHIM_EVENT_RECEIVE, 1, 7200000);
    record.result = 3;
    record.requested = 1 << 20;
    record.result_flags |= RECVSHIM_RESULT_DURATION;
    record.duration = 12345678;
    sample_store(&trace, record);
    record.result = 1 << 20;
    record.duration = 999;
    sample_store(&trace, record);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", path), 0);
    expect_printed(" 42 server           1        2 1048579 ");
    expect_printed("\n30 processes without a connection or a receive\n");
    cr_assert_null(strstr(printed, "readlink"));
    expect_printed("  2h00m exit ");
    expect_printed("size of a receive: p50 3 B, p90 1 MiB, p99 1 MiB, max 1 MiB\n[2 B, 4 B) ");
    expect_printed("|\n...\n[1 MiB, 2 MiB)               1 |@");
    expect_printed("time in a receiving call: p50 999 ns, p90 12.3 ms, p99 12.3 ms, max 12.3 ms\n[512 ns, 1.02 us) ");
    expect_printed("|\n...\n[8.38 ms, 16.7 ms)           1 |@");
    expect_printed("\n1 connection: 1 ended with their process\n");
}

Test(stats, says_where_an_end_may_be_missing)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_STOP, 4);
    sample_store(&trace, sample_event(RECVSHIM_EVENT_ACCEPT, 1, 0));
    sample_receive(&trace, 1, 1, 5);
    sample_store(&trace, sample_event(RECVSHIM_EVENT_CLOSE, 1, 2));
    sample_receive(&trace, 2, 3, 5);
    sample_store(&trace, sample_event(RECVSHIM_EVENT_CLOSE, 2, 4)); /* beyond the room */
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort=connection", "--color=never", path), 0);
    expect_printed(" closed program\n");
    expect_printed(" 0 ns ?      \n");
    cr_assert_null(strstr(printed, "exit"));
    expect_printed("END ?: it may be among the lost records\n");
    expect_printed("2 connections: 1 closed, 1 with an end that is not known\n");
    expect_printed("; a larger --size of the trace keeps more\n");
    cr_assert_eq(STATUS("stats", "--sort=connection", "--format=json", path), 0);
    expect_printed("\"end\":\"close\"");
    expect_printed("\"end\":\"unknown\"");
    expect_printed("\"end_unknown\":1,");
    /* What was not asked for is not known either. */
    const char *filters[] = {"--event=receive", "--call=recv", "--until=@1000000000.002", "--pid=42", "--fd=5"};
    trace = sample_trace();
    trace_close(&trace);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        cr_assert_eq(STATUS("stats", (char *)(uintptr_t)filters[i], path), 0);
        expect_printed("END ?: it may be among the events that were not asked for\n");
        cr_assert_null(strstr(printed, "exit"));
    }
    cr_assert_eq(STATUS("stats", "--connection=2,3", path), 0);
    expect_printed("2 connections: 2 ended with their process\n");
}

Test(stats, says_which_connections_are_not_there)
{
    struct trace trace = sample_trace();
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--connection=2,77", path), 1);
    expect_said(": has no event of connection 77; ");
    expect_printed("1 connection: ");
}

Test(stats, sorts_and_cuts)
{
    struct trace trace = sample_trace();
    cr_assert_eq(STATUS("stats", "--top", "1", path), 0);
    expect_printed("... and 3 more connections; --top all shows all of them\n");
    expect_printed("10.0.0.1:80");
    cr_assert_null(strstr(printed, "10.0.0.2:80"));
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=-bytes", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":4,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=peer", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":1,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=-peer", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":3,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=receives", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":1,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=duration", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":1,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=-pid", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":3,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=last", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":1,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=-first", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":4,");
    cr_assert_eq(STATUS("stats", "--top=2", "--format=json", path), 0);
    expect_printed("\"connections_left_out\":2,");
    trace_close(&trace);
}

/* By family first. */
Test(stats, knows_unix_sockets)
{
    struct trace trace = sample_trace();
    struct recvshim_record record = sample_event(RECVSHIM_EVENT_RECEIVE, 5, 40);
    trace.names[0] = (struct recvshim_name){.state = 2, .length = 4, .text = "\0a\0b"};
    record.family = AF_UNIX;
    record.result = 1;
    memset(record.address, 0, sizeof record.address);
    record.address[0] = 1;
    sample_store(&trace, record);
    record = sample_event(RECVSHIM_EVENT_DISCONNECT, 2, 50);
    record.result_flags |= RECVSHIM_RESULT_TCP;
    record.tcp.rtt = 900;
    sample_store(&trace, record);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort=peer", path), 0);
    expect_printed(" @a@b ");
    expect_printed(" 900 us ");
    cr_assert_eq(STATUS("stats", "--sort=peer", "--top=1", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":5,");
    expect_printed("\"peer\":{\"family\":\"unix\",\"address\":\"@a@b\",\"port\":null,\"scope_id\":0}");
}

Test(stats, bounds_the_peers_of_a_socket)
{
    const uint32_t peers = TOTALS_PEERS_MAX + 3;
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 1 << 17);
    for (uint32_t i = 0; i < peers; i++) {
        struct recvshim_record record = sample_event(RECVSHIM_EVENT_RECEIVE, 1, 1);
        record.socket_type = SOCK_DGRAM;
        record.result = 10;
        memcpy(record.address, &i, sizeof i);
        sample_store(&trace, record);
    }
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", path), 0);
    expect_printed("Of sockets with several peers the first 65536 are told apart; all others: 3 receives, 30 bytes\n");
}

Test(stats, of_nothing)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 8);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--format=json", path), 0);
    expect_printed("\"first_seen\":null,\"last_seen\":null,");
}

Test(stats, filters)
{
    struct trace trace = sample_trace();
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--connection", "2", path), 0);
    expect_printed("7 bytes in 1 receives");
    cr_assert_eq(STATUS("stats", "--peer", "10.0.0.1", path), 0);
    expect_printed("103 bytes in 2 receives");
    cr_assert_eq(STATUS("stats", "--pid", "43", path), 0);
    expect_printed("100 bytes in 2 receives");
    cr_assert_eq(STATUS("stats", "--event", "error", path), 0);
    expect_printed("events: none");
}

Test(stats, prints_json)
{
    struct trace trace = sample_trace();
    cr_assert_eq(STATUS("stats", "--format", "json", path), 0);
    trace_close(&trace);
    cr_assert_eq(strchr(printed, '\n'), printed + strlen(printed) - 1, "one line");
    expect_printed("\"written\":true,");
    expect_printed(
        "{\"connection\":1,\"pid\":42,\"comm\":\"curl\",\"local\":{\"family\":\"inet\",\"address\":\"127.0.0.1\","
        "\"port\":5555,\"scope_id\":0},\"local_port\":5555,\"peer\":{\"family\":\"inet\",\"address\":\"10.0.0.1\","
        "\"port\":80,\"scope_id\":0},\"several_peers\":false,\"bytes\":103,\"receives\":2,\"errors\":0,\"retries\":2,"
        "\"first_seen\":\"2001-09-09T01:46:40.000000000Z\",\"last_seen\":\"2001-09-09T01:46:41.500000000Z\","
        "\"duration_ns\":1500000000,\"end\":\"disconnect\",\"cause\":\"eof\",\"error\":null,\"first\":\"peer\","
        "\"tcp\":{\"state\":\"CLOSE_WAIT\",\"rtt_us\":1234,\"retransmits\":5,\"unacked\":0},\"complete\":true}");
    expect_printed("\"connection\":2,");
    expect_printed("\"end\":null,\"cause\":null,\"error\":null,\"first\":null,\"tcp\":null,\"complete\":true}");
    expect_printed("\"end\":\"connect-failed\",\"cause\":null,\"error\":\"ECONNREFUSED\"");
    expect_printed("\"comm\":\"a\\u001b[31m\\\"b\\\\\\u000a\\ufffd\"");
    expect_printed("\"receive_bytes\":{\"count\":5,\"sum\":210,\"min\":3,\"p50\":50,\"p90\":100,\"p99\":100,"
                   "\"max\":100,\"buckets\":[{\"from\":3,\"to\":3,\"count\":1},");
    expect_printed("\"losses\":{\"overwritten\":0,\"dropped\":0,\"died\":0,\"pending\":0,\"complete_since\":null},"
                   "\"injections\":{\"error\":0,\"eof\":0,\"short\":0,\"delay\":0,\"interrupt\":0,\"truncate\":0,"
                   "\"drop\":0,\"corrupt\":0,\"scope\":0,\"unknown\":0}}\n");
    int status = system("command -v python3 >/dev/null || exit 77"); /* NOLINT: nothing of it comes from outside */
    if (status == 0) {
        FILE *check = popen("python3 -c 'import json, sys; json.load(sys.stdin)'", "w"); /* NOLINT */
        fputs(printed, check);
        cr_assert_eq(pclose(check), 0);
    }
}

Test(stats, prints_what_prometheus_reads)
{
    struct trace trace = sample_trace();
    fixture_process(&trace, 43, 2 * (uint64_t)SAMPLE_SECOND, "next"); /* the same pid: one sample, not two */
    struct recvshim_record record = sample_event(RECVSHIM_EVENT_RECEIVE, 5, 1500);
    record.pid = 43;
    record.result = 1;
    sample_store(&trace, record);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--format", "prometheus", path), 0);
    expect_printed("# TYPE recvshim_events_total counter\n");
    expect_printed("recvshim_events_total{event=\"receive\",call=\"recv\"} 6\n");
    expect_printed("recvshim_errors_total{error=\"ECONNREFUSED\"} 1\n");
    expect_printed("recvshim_disconnects_total{cause=\"eof\"} 1\n");
    expect_printed("recvshim_process_received_bytes_total{pid=\"43\",comm=\"next\"} 101\n");
    expect_printed("recvshim_receive_size_bytes_bucket{le=\"3\"} 2\n");
    expect_printed("recvshim_receive_size_bytes_bucket{le=\"+Inf\"} 6\n");
    expect_printed("recvshim_call_duration_seconds_sum 0.000001500\n");
    expect_printed("recvshim_lost_records_total{reason=\"dropped\"} 0\n");
    check_with_promtool();
    cr_assert_eq(STATUS("stats", "--format", "prometheus", "--until", "@1000000000.5", path), 0);
    expect_printed("{pid=\"43\",comm=\"a\033[31m\\\"b\\\\\\n\xef\xbf\xbd\"}");
    check_with_promtool();
}

Test(stats, says_whose_totals_may_be_too_small)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 8);
    for (uint64_t i = 0; i < 10; i++)
        sample_receive(&trace, 1, i, 1);
    sample_store(&trace, sample_event(RECVSHIM_EVENT_ACCEPT, 2, 20));
    sample_receive(&trace, 2, 21, 2);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--format", "json", path), 0);
    char *second = strstr(printed, "{\"connection\":2,"), *first = strstr(printed, "{\"connection\":1,");
    cr_assert(first != NULL && second != NULL);
    cr_assert_not_null(strstr(first, "\"complete\":false}"));
    cr_assert_eq(strncmp(strstr(second, "\"complete\":"), "\"complete\":true", 15), 0);
    expect_printed("\"incomplete\":1,");
    expect_printed("\"overwritten\":4,");
    cr_assert_eq(STATUS("stats", path), 0);
    expect_printed(" 6+ ");
    expect_printed("+ at least: records of 1 of the connections may have been lost\n");
    expect_printed("losses: 4 of 12 records: 4 overwritten, 0 dropped");
}

Test(stats, trusts_what_ended_before_a_shard_was_full)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_STOP, 8);
    fixture_process(&trace, 42, 0, "server");
    sample_receive(&trace, 1, 1, 1);
    sample_store(&trace, sample_event(RECVSHIM_EVENT_CLOSE, 1, 2));
    for (uint64_t i = 0; i < 20; i++)
        sample_receive(&trace, 2, 10 + i, 1);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort=connection", "--format=json", path), 0);
    cr_assert_eq(strncmp(strstr(printed, "\"complete\":"), "\"complete\":true", 15), 0, "%s", printed);
    expect_printed("\"incomplete\":1,");
    cr_assert_null(trace_open(path, TRACE_CONTROL, &trace).what);
    fixture_process(&trace, 43, 0, "child");
    trace.processes[1].parent = 42;
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort=connection", "--format=json", path), 0);
    expect_printed("\"incomplete\":2,"); /* its child may have received on it after that */
}
