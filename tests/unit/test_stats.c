/* `recvshim stats` as a user meets it. */
#include "fixture.h"
#include "shell.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void begin(void)
{
    shell_begin();
    setenv("TZ", "UTC", 1);
}

TestSuite(stats, .init = begin, .fini = shell_end, .timeout = 30);

#define SECOND 1000000000U

/* A trace at `path`, mapped to be written: whoever looks finds it in use until it is closed. */
static struct trace recording(enum recvshim_mode mode, uint64_t slots)
{
    struct recvshim_header header = fixture_header();
    header.mode = mode;
    header.slots = slots;
    int memory = fixture_file(&header, 0);
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);
    void *bytes = calloc(1, (size_t)layout.size);
    cr_assert_eq(pread(memory, bytes, (size_t)layout.size, 0), (ssize_t)layout.size);
    write_file(bytes, (size_t)layout.size, 0600);
    free(bytes);
    close(memory);
    struct trace trace;
    cr_assert_null(trace_open(path, TRACE_RECORD, &trace).what);
    return trace;
}

static struct recvshim_record event(uint8_t kind, uint64_t connection, uint64_t milliseconds)
{
    struct recvshim_record record = fixture_record(SECOND + milliseconds * 1000000U, 0);
    record.event = kind;
    record.call = kind < RECVSHIM_EVENT_CONNECT ? RECVSHIM_CALL_RECV : RECVSHIM_CALL_NONE;
    record.connection = connection;
    record.socket_type = SOCK_STREAM;
    record.family = AF_INET;
    record.port = 80;
    record.result_flags = RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_CONNECTED;
    memcpy(record.address, (uint8_t[]){10, 0, 0, (uint8_t)connection}, 4);
    return record;
}

static void store(const struct trace *trace, struct recvshim_record record)
{
    fixture_store(trace, 0, &record);
}

static void store_receive(const struct trace *trace, uint64_t connection, uint64_t milliseconds, int64_t size)
{
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, connection, milliseconds);
    record.result = size;
    store(trace, record);
}

/* Two connections, one of them to a peer that closed it; a socket of datagrams; a connect that was refused. */
static struct trace make_some(void)
{
    struct trace trace = recording(RECVSHIM_MODE_OVERWRITE, 64);
    struct recvshim_record record = event(RECVSHIM_EVENT_ACCEPT, 1, 0);
    fixture_process(&trace, 42, 0, "curl");
    fixture_process(&trace, 43, 0, "a\033[31m\"b\\\n\xff");
    record.result_flags |= RECVSHIM_RESULT_LOCAL;
    record.local_port = 5555;
    memcpy(record.local_address, (uint8_t[]){127, 0, 0, 1}, 4);
    store(&trace, record);
    store_receive(&trace, 1, 1, 100);
    record = event(RECVSHIM_EVENT_RECEIVE, 1, 2);
    record.result = 3;
    record.retries = 2;
    record.duration = 1500;
    record.result_flags |= RECVSHIM_RESULT_DURATION;
    store(&trace, record);
    record = event(RECVSHIM_EVENT_DISCONNECT, 1, 1500);
    record.result_flags |= RECVSHIM_RESULT_TCP;
    record.tcp = (struct recvshim_tcp){.rtt = 1234, .retransmits = 5, .state = TCP_CLOSE_WAIT};
    store(&trace, record);
    store_receive(&trace, 2, 10, 7);
    for (uint8_t host = 1; host <= 2; host++) {
        record = event(RECVSHIM_EVENT_RECEIVE, 3, 20);
        record.socket_type = SOCK_DGRAM;
        record.pid = record.tid = 43;
        record.family = AF_INET6;
        record.scope = 2;
        record.local_port = 53;
        memcpy(record.address, (uint8_t[]){0xfe, 0x80, [15] = host}, 16);
        record.result = 50;
        store(&trace, record);
    }
    record = event(RECVSHIM_EVENT_CONNECT, 4, 30);
    record.result = -1;
    record.error = ECONNREFUSED;
    store(&trace, record);
    return trace;
}

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
    struct trace trace = make_some();
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--sort", "connection", path), 0);
    cr_assert_str_eq(said, "");
    expect_printed("ID PID COMM");
    expect_printed("\n 1  42 curl                 127.0.0.1:5555 10.0.0.1:80   103        2 2001-09-09 01:46:40.000 "
                   "2001-09-09 01:46:41.500 1500.000 eof          peer  1.234      5\n");
    expect_printed(" *:53           several       100        2 ");
    expect_printed(" ECONNREFUSED ");
    expect_printed(" exit ");
    expect_printed("a\\x1b[31m\"b\\\\x0a\\xff");
    expect_printed("fe80::1%2           0        1    50      0       0");
    expect_printed("bytes of a receive: p50 50, p90 100, p99 100, max 100\n");
    expect_printed("[32, 64)                 2 |@@@@");
    expect_printed("nanoseconds of a call: p50 1500, p90 1500, p99 1500, max 1500\n[1K, 2K)");
    expect_printed("4 connections: 0 open, 0 closed, 2 ended with their process, 1 not made, 1 eof\n");
    expect_printed("210 bytes in 5 receives, 2 retries\n");
    expect_printed("events: 5 receive 1 disconnect 1 connect 1 accept\n");
    expect_printed("errors: 1 ECONNREFUSED\nlosses: none\n");
    for (const char *at = printed; *at != '\0'; at++)
        cr_assert(*at == '\n' || ((unsigned char)*at >= 0x20 && *at != 0x7f));
}

Test(stats, sorts_and_cuts)
{
    struct trace trace = make_some();
    cr_assert_eq(STATUS("stats", "--top", "1", path), 0);
    expect_printed("... and 3 more connections; --top all shows all of them\n");
    expect_printed("10.0.0.1:80");
    cr_assert_null(strstr(printed, "10.0.0.2:80"));
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=-bytes", "--format=json", path), 0);
    expect_printed("\"connections\":[{\"connection\":4,");
    cr_assert_eq(STATUS("stats", "--top=1", "--sort=peer", "--format=json", path), 0);
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

Test(stats, filters)
{
    struct trace trace = make_some();
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
    struct trace trace = make_some();
    cr_assert_eq(STATUS("stats", "--format", "json", path), 0);
    trace_close(&trace);
    cr_assert_eq(strchr(printed, '\n'), printed + strlen(printed) - 1, "one line");
    expect_printed("\"written\":true,");
    expect_printed(
        "{\"connection\":1,\"pid\":42,\"comm\":\"curl\",\"local\":{\"family\":\"inet\",\"address\":\"127.0.0.1\","
        "\"port\":5555,\"scope_id\":0},\"local_port\":5555,\"peer\":{\"family\":\"inet\",\"address\":\"10.0.0.1\","
        "\"port\":80,\"scope_id\":0},\"several_peers\":false,\"bytes\":103,\"receives\":2,\"errors\":0,\"retries\":2,"
        "\"first_seen\":\"2001-09-09T01:46:40.000000000Z\",\"last_seen\":\"2001-09-09T01:46:41.500000000Z\","
        "\"duration_ns\":1500000000,\"end\":\"disconnect\",\"cause\":\"eof\",\"error\":null,\"ended_by\":\"peer\","
        "\"tcp\":{\"state\":\"CLOSE_WAIT\",\"rtt_us\":1234,\"retransmits\":5,\"unacked\":0},\"complete\":true}");
    expect_printed("\"connection\":2,");
    expect_printed("\"end\":null,\"cause\":null,\"error\":null,\"ended_by\":null,\"tcp\":null,\"complete\":true}");
    expect_printed("\"end\":\"connect-failed\",\"cause\":null,\"error\":\"ECONNREFUSED\"");
    expect_printed("\"comm\":\"a\\u001b[31m\\\"b\\\\\\u000a\\ufffd\"");
    expect_printed("\"receive_bytes\":{\"count\":5,\"sum\":210,\"min\":3,\"p50\":50,\"p90\":100,\"p99\":100,"
                   "\"max\":100,\"buckets\":[{\"from\":3,\"to\":3,\"count\":1},");
    expect_printed("\"losses\":{\"overwritten\":0,\"dropped\":0,\"died\":0,\"pending\":0,\"complete_since\":null}}\n");
    int status = system("command -v python3 >/dev/null || exit 77"); /* NOLINT: nothing of it comes from outside */
    if (status == 0) {
        FILE *check = popen("python3 -c 'import json, sys; json.load(sys.stdin)'", "w"); /* NOLINT */
        fputs(printed, check);
        cr_assert_eq(pclose(check), 0);
    }
}

/* Everything that promtool has to say, of what stands in `printed`. */
static void check_with_promtool(void)
{
    if (system("command -v promtool >/dev/null") != 0) /* NOLINT: nothing of it comes from outside */
        return;
    char command[128], complaint[512] = "", exposition[80];
    snprintf(exposition, sizeof exposition, "%s/exposition", directory);
    int fd = open(exposition, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, printed, strlen(printed)), (ssize_t)strlen(printed));
    close(fd);
    snprintf(command, sizeof command, "promtool check metrics <%s 2>&1", exposition);
    FILE *check = popen(command, "r"); /* NOLINT */
    complaint[fread(complaint, 1, sizeof complaint - 1, check)] = '\0';
    unlink(exposition);
    cr_assert_eq(pclose(check), 0, "%s", complaint);
    cr_assert_str_eq(complaint, "");
}

Test(stats, prints_what_prometheus_reads)
{
    struct trace trace = make_some();
    fixture_process(&trace, 43, 2 * (uint64_t)SECOND, "next"); /* the same pid: one sample, not two */
    struct recvshim_record record = event(RECVSHIM_EVENT_RECEIVE, 5, 1500);
    record.pid = 43;
    record.result = 1;
    store(&trace, record);
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
    struct trace trace = recording(RECVSHIM_MODE_OVERWRITE, 8);
    for (uint64_t i = 0; i < 10; i++)
        store_receive(&trace, 1, i, 1);
    store(&trace, event(RECVSHIM_EVENT_ACCEPT, 2, 20));
    store_receive(&trace, 2, 21, 2);
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
    struct trace trace = recording(RECVSHIM_MODE_STOP, 8);
    fixture_process(&trace, 42, 0, "server");
    store_receive(&trace, 1, 1, 1);
    store(&trace, event(RECVSHIM_EVENT_CLOSE, 1, 2));
    for (uint64_t i = 0; i < 20; i++)
        store_receive(&trace, 2, 10 + i, 1);
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

/* Read until that comes, for as long as the test may take. */
static void read_until(int fd, char *text, size_t size, const char *part)
{
    size_t length = strlen(text);
    while (strstr(text, part) == NULL) {
        ssize_t got = read(fd, text + length, size - 1 - length);
        cr_assert_gt(got, 0, "%s", text);
        length += (size_t)got;
        text[length] = '\0';
    }
}

Test(stats, repeats_until_nobody_writes)
{
    struct trace trace = make_some();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid =
        start((char *[]){"recvshim", "stats", "--format=json", "--top=1", "--interval=0.01", path, NULL}, ends[1], err);
    close(ends[1]);
    read_until(ends[0], text, sizeof text, "\"bytes\":210,");
    store_receive(&trace, 2, 40, 90);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "\"bytes\":300,");
    trace_close(&trace);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "\"written\":false,");
    cr_assert_eq(wait_status(pid), 0);
    close(ends[0]);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

Test(stats, ends_with_a_signal_and_with_its_reader)
{
    struct trace trace = make_some();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    char *arguments[] = {"recvshim", "stats", "--interval=1000", path, NULL};
    pid_t pid = start(arguments, ends[1], err);
    read_until(ends[0], text, sizeof text, "losses: none");
    store_receive(&trace, 2, 40, 90);
    kill(pid, SIGTERM);
    cr_assert_eq(wait_status(pid), 0);
    read_until(ends[0], text, sizeof text, "----\n");
    read_until(ends[0], text, sizeof text, "300 bytes");
    pid = start(arguments, ends[1], err);
    close(ends[1]);
    text[0] = '\0';
    read_until(ends[0], text, sizeof text, "losses: none");
    close(ends[0]);
    cr_assert_eq(wait_status(pid), 0, "nobody reads any more");
    trace_close(&trace);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");
}

Test(stats, redraws_a_terminal_in_place)
{
    struct trace trace = make_some();
    int terminal, slave;
    struct winsize window = {.ws_row = 4, .ws_col = 100};
    char text[1 << 14] = "";
    cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, &window), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=0.01", path, NULL}, slave, slave);
    close(slave);
    read_until(terminal, text, sizeof text, "\033[H\033[J");
    read_until(terminal, text, sizeof text, "COMM");
    strcpy(text, "");
    read_until(terminal, text, sizeof text, "\033[H\033[J");
    cr_assert_null(strstr(text, "losses"), "no more than its three rows");
    trace_close(&trace);
    char rest[256];
    while (read(terminal, rest, sizeof rest) > 0)
        ;
    cr_assert_eq(wait_status(pid), 0);
    close(terminal);
}

Test(stats, replaces_a_file_whole)
{
    struct trace trace = make_some();
    char file[96], text[1 << 14] = "", link[96];
    snprintf(file, sizeof file, "%s/x.prom", directory);
    snprintf(link, sizeof link, "%s/link", directory);
    int err = memfd_create("err", MFD_CLOEXEC);
    umask(022);
    pid_t pid = start((char *[]){"recvshim", "stats", "--format=prometheus", "--interval=0.01", "-o", file, path, NULL},
                      STDOUT_FILENO, err);
    ino_t first = 0;
    for (int replaced = 0; replaced < 3;) { /* as often as it takes */
        struct stat status;
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        fstat(fd, &status);
        if (status.st_ino != first)
            replaced++;
        first = status.st_ino;
        cr_assert_eq(status.st_mode & 0777, 0644, "%o", status.st_mode);
        slurp(fd, text, sizeof text);
        cr_assert_not_null(strstr(text, "reason=\"died\"} 0\n"), "never half of it");
    }
    trace_close(&trace);
    cr_assert_eq(wait_status(pid), 0);
    slurp(err, said, sizeof said);
    cr_assert_str_eq(said, "");

    cr_assert_eq(symlink(file, link), 0);
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", link, path), 0);
    struct stat status;
    cr_assert(lstat(link, &status) == 0 && S_ISLNK(status.st_mode), "a link stays a link");
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", "/dev/full", path), 1);
    expect_said("No space left");
    cr_assert_eq(STATUS("stats", "--format=prometheus", "-o", "/nowhere/x", path), 1);
    expect_said("/nowhere/x: cannot be replaced: No such file");
    unlink(link);
    unlink(file);
    cr_assert_eq(rmdir(directory), -1);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(directory), 0, "nothing is left behind");
    cr_assert_eq(mkdir(directory, 0700), 0);
}

Test(stats, survives_truncation_while_it_repeats)
{
    struct trace trace = make_some();
    int ends[2], err = memfd_create("err", MFD_CLOEXEC);
    char text[1 << 14] = "";
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start((char *[]){"recvshim", "stats", "--interval=1000", path, NULL}, ends[1], err);
    read_until(ends[0], text, sizeof text, "losses");
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(wait_status(pid), 1);
    slurp(err, said, sizeof said);
    expect_said("was truncated while it was read");
    close(ends[0]);
    close(ends[1]);
    (void)trace;
}
