/* What the events of a connection's life, and of a process's, look like in each format. */
#include "printing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(life, .init = use_utc);

enum { CONNECTED = RECVSHIM_RESULT_CONNECTED, TCP = RECVSHIM_RESULT_TCP };

static struct recvshim_record life(enum recvshim_event event)
{
    struct recvshim_record record = base_record();
    record.event = (uint8_t)event;
    record.call = RECVSHIM_CALL_NONE;
    record.requested = 0;
    record.result = 0;
    if (event == RECVSHIM_EVENT_START || event == RECVSHIM_EVENT_EXIT) {
        record.fd = -1;
        record.connection = 0;
    } else {
        record.socket_type = SOCK_STREAM;
    }
    return record;
}

static struct recvshim_record between(enum recvshim_event event, uint16_t family, const void *peer, uint16_t port,
                                      const void *local, uint16_t local_port)
{
    struct recvshim_record record = life(event);
    size_t length = family == AF_INET6 ? 16 : 4;
    record.family = family;
    record.port = port;
    record.local_port = local_port;
    record.result_flags = RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_LOCAL;
    memcpy(record.address, peer, length);
    memcpy(record.local_address, local, length);
    return record;
}

static const uint8_t here[4] = {127, 0, 0, 1}, client[4] = {10, 0, 0, 9}, server[4] = {10, 0, 0, 1};
static const uint8_t loopback[16] = {[15] = 1};

static struct recvshim_record accepted(void)
{
    struct recvshim_record record = between(RECVSHIM_EVENT_ACCEPT, AF_INET, client, 51234, server, 80);
    record.result = 5;
    return record;
}

static struct recvshim_record closed(uint16_t flags, uint8_t state)
{
    struct recvshim_record record = life(RECVSHIM_EVENT_CLOSE);
    record.result_flags = flags;
    record.tcp.state = state;
    return record;
}

static struct recvshim_record ended(uint16_t flags, uint8_t state)
{
    struct recvshim_record record = base_record();
    record.event = RECVSHIM_EVENT_DISCONNECT;
    record.socket_type = SOCK_STREAM;
    record.result = 0;
    record.result_flags = flags;
    record.tcp.state = state;
    return record;
}

Test(life, text_tells_how_a_connection_begins)
{
    struct recvshim_record record = accepted();
    expect_text(&record, "curl[42] accept() = 5  from 10.0.0.9:51234 to 10.0.0.1:80\n");

    record = between(RECVSHIM_EVENT_CONNECT, AF_INET, here, 80, here, 51000);
    expect_text(&record, "curl[42] connect(5) = 0  to 127.0.0.1:80 from 127.0.0.1:51000\n");
    record.duration = 1234;
    record.result_flags |= RECVSHIM_RESULT_DURATION;
    expect_text(&record, "curl[42] connect(5) = 0 <0.000001234>  to 127.0.0.1:80 from 127.0.0.1:51000\n");
    record.result = -1;
    record.error = EINPROGRESS;
    record.result_flags = RECVSHIM_RESULT_PEER;
    expect_text(&record, "curl[42] connect(5) = -1 EINPROGRESS  to 127.0.0.1:80\n");
    record.error = ECONNREFUSED;
    record.result_flags = 0;
    expect_text(&record, "curl[42] connect(5) = -1 ECONNREFUSED\n");

    record = between(RECVSHIM_EVENT_CONNECT, AF_INET6, loopback, 443, loopback, 51000);
    record.scope = 2;
    expect_text(&record, "curl[42] connect(5) = 0  to [::1]:443 scope 2 from [::1]:51000\n");
}

Test(life, text_names_the_end_of_a_unix_socket_that_has_a_name)
{
    static const uint32_t nobody = 0, path = 2;
    struct recvshim_record record = between(RECVSHIM_EVENT_CONNECT, AF_UNIX, &path, 0, &nobody, 0);
    expect_text(&record, "curl[42] connect(5) = 0  to /run/app.sock\n");
    record = between(RECVSHIM_EVENT_ACCEPT, AF_UNIX, &nobody, 0, &path, 0);
    record.result = 6;
    expect_text(&record, "curl[42] accept() = 6  from an unnamed unix socket to /run/app.sock\n");
    record.event = RECVSHIM_EVENT_RECEIVE;
    record.call = RECVSHIM_CALL_RECV;
    record.requested = 100;
    expect_text(&record, "curl[42] recv(5, 100) = 6  from an unnamed unix socket to /run/app.sock\n");
    record.result_flags = RECVSHIM_RESULT_LOCAL;
    expect_text(&record, "curl[42] recv(5, 100) = 6  to /run/app.sock\n");
    record.result_flags |= RECVSHIM_RESULT_PEER;
    memcpy(record.address, &path, sizeof path);
    expect_text(&record, "curl[42] recv(5, 100) = 6  from /run/app.sock\n");
}

/* A plain recv knows its peer too; where it came to is told once, by accept or connect. */
Test(life, text_of_a_receive_keeps_short)
{
    struct recvshim_record record = accepted();
    record.event = RECVSHIM_EVENT_RECEIVE;
    record.call = RECVSHIM_CALL_RECV;
    record.requested = 100;
    expect_text(&record, "curl[42] recv(5, 100) = 5  from 10.0.0.9:51234\n");
}

Test(life, text_tells_who_closed_first)
{
    struct recvshim_record record = closed(CONNECTED | RECVSHIM_RESULT_PEER_ENDED, 0);
    expect_text(&record, "curl[42] close(5)  peer closed first\n");
    record = closed(CONNECTED, 0);
    expect_text(&record, "curl[42] close(5)  program closed first\n");
    record = closed(0, 0);
    expect_text(&record, "curl[42] close(5)\n");
    record = closed(CONNECTED | TCP, TCP_ESTABLISHED);
    record.tcp.rtt = 999;
    expect_text(&record, "curl[42] close(5)  program closed first, rtt 999 us\n");
    record = closed(CONNECTED | TCP, TCP_CLOSE_WAIT);
    record.tcp.rtt = 1000;
    record.tcp.retransmits = 1;
    record.tcp.unacked = 3;
    expect_text(&record, "curl[42] close(5)  peer closed first, rtt 1.000 ms, 1 retransmit, 3 unacked\n");
    record = closed(CONNECTED | TCP | RECVSHIM_RESULT_PROGRAM_FIRST, TCP_FIN_WAIT2);
    record.tcp.rtt = 1234567;
    record.tcp.retransmits = UINT16_MAX;
    record.tcp.unacked = UINT8_MAX;
    expect_text(&record, "curl[42] close(5)  program closed first, state FIN_WAIT2, rtt 1.234 s, 65535+ retransmits, "
                         "255+ unacked\n");
    record = closed(TCP, TCP_LISTEN);
    record.tcp.unacked = 2;
    expect_text(&record, "curl[42] close(5)  state LISTEN, 2 not accepted\n");
}

Test(life, text_tells_what_tcp_knew_of_a_disconnect)
{
    struct recvshim_record record = ended(CONNECTED | TCP, TCP_CLOSE_WAIT);
    record.tcp.rtt = 123;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: peer closed the connection, rtt 123 us\n");
    record = ended(TCP, TCP_CLOSE_WAIT);
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: peer closed the connection\n");
    record = ended(CONNECTED | TCP | RECVSHIM_RESULT_PROGRAM_FIRST, TCP_CLOSE);
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: peer closed the connection, after the program "
                         "shut down writing, state CLOSE\n");
    record = ended(CONNECTED | TCP, TCP_ESTABLISHED);
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: shut down by the program itself\n");
    record = ended(CONNECTED | TCP, TCP_CLOSE);
    record.result = -1;
    record.error = ECONNRESET;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = -1 ECONNRESET  disconnect: reset by peer\n");
    record = ended(0, 0);
    record.socket_type = 0;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0  disconnect: reason unknown\n");
}

Test(life, text_of_processes_is_that_of_strace)
{
    struct recvshim_record record = life(RECVSHIM_EVENT_START);
    expect_text(&record, "curl[42] +++ started, child of 11 +++\n");
    record.pid = record.tid = 44;
    expect_text(&record, "a,b[44] +++ started +++\n");
    record = life(RECVSHIM_EVENT_EXIT);
    expect_text(&record, "curl[42] +++ exited with 0 +++\n");
    record.result = -1;
    record.tid = 45;
    expect_text(&record, "curl[42/45] +++ exited with 255 +++\n");
}

static void expect_json(const struct recvshim_record *record, const char *expected)
{
    static const char start[] = JSON_START "\"pid\":42,\"tid\":42,\"comm\":\"curl\",";
    const char *line = print(&format_json, record, false);
    cr_assert_eq(strncmp(line, start, sizeof start - 1), 0, "%s", line);
    cr_assert_str_eq(line + sizeof start - 1, expected);
}

#define NOTHING_RECEIVED "\"requested\":null,\"size\":null,"
#define NO_CALL          "\"flags\":[],\"error\":null,\"retries\":0,\"duration_ns\":null,"
#define UNINTERRUPTED    ",\"signals\":null,\"signals_certain\":null,\"passed\":null"
#define AS_IT_WAS        "\"normalised\":false,\"injected\":false,"

Test(life, json_has_null_where_nothing_is_meant)
{
    struct recvshim_record record = accepted();
    expect_json(&record,
                "\"event\":\"accept\",\"call\":null,\"fd\":5,\"connection\":7," NOTHING_RECEIVED "\"result\":5," NO_CALL
                "\"peer\":{\"family\":\"inet\",\"address\":\"10.0.0.9\","
                "\"port\":51234,\"scope_id\":0},\"local_port\":80,\"cause\":null," AS_IT_WAS
                "\"first\":null,\"local_address\":\"10.0.0.1\",\"socket\":\"stream\",\"tcp\":null" UNINTERRUPTED
                    JSON_NO_RECEIVE);

    record = closed(CONNECTED | TCP, TCP_CLOSE_WAIT);
    record.tcp = (struct recvshim_tcp){.rtt = 123, .retransmits = 2, .state = TCP_CLOSE_WAIT, .unacked = 1};
    expect_json(&record,
                "\"event\":\"close\",\"call\":null,\"fd\":5,\"connection\":7," NOTHING_RECEIVED "\"result\":0," NO_CALL
                "\"peer\":null,\"local_port\":null,\"cause\":null," AS_IT_WAS
                "\"first\":\"peer\",\"local_address\":null,\"socket\":\"stream\","
                "\"tcp\":{\"state\":\"CLOSE_WAIT\",\"rtt_us\":123,\"retransmits\":2,\"unacked\":1}" UNINTERRUPTED
                    JSON_NO_RECEIVE);

    record = life(RECVSHIM_EVENT_EXIT);
    record.result = 3;
    expect_json(&record,
                "\"event\":\"exit\",\"call\":null,\"fd\":null,\"connection\":null," NOTHING_RECEIVED
                "\"result\":3," NO_CALL "\"peer\":null,\"local_port\":null,\"cause\":null," AS_IT_WAS
                "\"first\":null,\"local_address\":null,\"socket\":null,\"tcp\":null" UNINTERRUPTED JSON_NO_RECEIVE);

    record = ended(CONNECTED | RECVSHIM_RESULT_PROGRAM_FIRST, 0);
    record.socket_type = SOCK_SEQPACKET;
    expect_json(&record,
                "\"event\":\"disconnect\",\"call\":\"recvfrom\",\"fd\":5,\"connection\":7,"
                "\"requested\":16384,\"size\":0,\"result\":0," NO_CALL
                "\"peer\":null,\"local_port\":null,\"cause\":\"eof\"," AS_IT_WAS
                "\"first\":\"program\",\"local_address\":null,\"socket\":\"seqpacket\",\"tcp\":null" UNINTERRUPTED
                    JSON_NO_FAULTS);
}

static void expect_csv(const struct recvshim_record *record, const char *expected)
{
    const char *text = print(&format_csv, record, false);
    cr_assert_str_eq(strchr(text, '\n') + 1, expected);
}

Test(life, csv_has_the_same_at_its_end)
{
    struct recvshim_record record = accepted();
    const char *text = print(&format_csv, &record, false);
    cr_assert_not_null(
        strstr(text, ",normalised,injected,first,local_address,socket,tcp_state,tcp_rtt_us,"
                     "tcp_retransmits,tcp_unacked,signals,signals_certain,passed,faults,fault_rule,fault_value,"
                     "fault_ordinal,fault_origin,fault_draw\n"));
    expect_csv(&record, "2001-09-09T01:46:41.623456789Z,42,42,curl,accept,,5,7,,,5,,,0,,inet,10.0.0.9,51234,0,80,,"
                        "false,false,,10.0.0.1,stream,,,,,,," CSV_NO_FAULTS);
    record = closed(CONNECTED | TCP, TCP_ESTABLISHED);
    expect_csv(&record, "2001-09-09T01:46:41.623456789Z,42,42,curl,close,,5,7,,,0,,,0,,,,,,,,"
                        "false,false,program,,stream,ESTABLISHED,0,0,0,,," CSV_NO_FAULTS);
    record = life(RECVSHIM_EVENT_START);
    expect_csv(&record,
               "2001-09-09T01:46:41.623456789Z,42,42,curl,start,,,,,,0,,,0,,,,,,,,false,false,,,,,,,,,," CSV_NO_FAULTS);
}

static void expect_chrome(const struct recvshim_record *record, const char *part)
{
    const char *text = print(&format_chrome, record, false);
    cr_assert_not_null(strstr(text, part), "%s", text);
}

Test(life, chrome_draws_processes_across_their_threads)
{
    struct recvshim_record record = life(RECVSHIM_EVENT_START);
    expect_chrome(&record, "[\n{\"name\":\"start\",\"cat\":\"start\",\"ph\":\"i\",\"s\":\"p\",\"ts\":1623456.789,"
                           "\"pid\":42,\"tid\":42,\"args\":{\"result\":0}},\n");
    record = accepted();
    expect_chrome(&record, "[\n{\"name\":\"accept\",\"cat\":\"accept\",\"ph\":\"i\",\"s\":\"t\",\"ts\":1623456.789,"
                           "\"pid\":42,\"tid\":42,\"args\":{\"result\":5,\"fd\":5,\"connection\":7,"
                           "\"peer\":\"10.0.0.9\",\"port\":51234,\"local_address\":\"10.0.0.1\","
                           "\"local_port\":80}},\n");
    record = closed(CONNECTED | TCP, TCP_ESTABLISHED);
    expect_chrome(&record, "\"args\":{\"result\":0,\"fd\":5,\"connection\":7,\"first\":\"program\","
                           "\"tcp\":{\"state\":\"ESTABLISHED\",\"rtt_us\":0,\"retransmits\":0,\"unacked\":0}}},\n");
    record = life(RECVSHIM_EVENT_CONNECT);
    record.duration = 1500;
    record.result_flags = RECVSHIM_RESULT_DURATION;
    expect_chrome(&record, "{\"name\":\"connect\",\"cat\":\"connect\",\"ph\":\"X\",\"dur\":1.500,\"ts\":1623455.289,");
}

/* What no library of ours writes: damage, or a later version. */
Test(life, hostile_values_are_unknown)
{
    struct recvshim_record record = closed(CONNECTED | TCP, 255);
    record.socket_type = 77;
    expect_text(&record, "curl[42] close(5)  state unknown\n");
    expect_json(
        &record,
        "\"event\":\"close\",\"call\":null,\"fd\":5,\"connection\":7," NOTHING_RECEIVED "\"result\":0," NO_CALL
        "\"peer\":null,\"local_port\":null,\"cause\":null," AS_IT_WAS
        "\"first\":null,\"local_address\":null,\"socket\":null,"
        "\"tcp\":{\"state\":\"unknown\",\"rtt_us\":0,\"retransmits\":0,\"unacked\":0}" UNINTERRUPTED JSON_NO_RECEIVE);
    record.tcp.state = 0;
    expect_text(&record, "curl[42] close(5)\n");
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"state\":\"unknown\""));

    record = accepted();
    record.family = 99;
    expect_text(&record, "curl[42] accept() = 5\n");
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"peer\":null,\"local_port\":80,"));
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"local_address\":null,"));

    /* Both readings of one union: TCP's is taken. */
    record = accepted();
    record.result_flags |= TCP;
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"local_address\":null,"));

    record = life(RECVSHIM_EVENTS);
    expect_text(&record, "curl[42] unknown(5) = 0\n");
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"event\":\"unknown\",\"call\":null,"));
    cr_assert_not_null(strstr(print(&format_chrome, &record, false), "{\"name\":\"unknown\",\"cat\":\"unknown\","));
    record.call = RECVSHIM_CALLS;
    record.requested = 8;
    expect_text(&record, "curl[42] unknown(5, 8) = 0\n");
    cr_assert_not_null(strstr(print(&format_json, &record, false), "\"call\":\"unknown\",\"fd\":5,\"connection\":7,"
                                                                   "\"requested\":8,\"size\":0,"));
    record.event = RECVSHIM_EVENT_CLOSE;
    expect_text(&record, "curl[42] close(5)\n");
}
