/* What events look like in each format. */
#include "cli/json.h"
#include "cli/utf8.h"
#include "printing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t link_local[16] = {0xfe, 0x80, [15] = 1};

TestSuite(format, .init = use_utc);

Test(format, text_reads_like_strace)
{
    struct recvshim_record record = with_peer(AF_INET6, link_local, 16);
    record.flags = MSG_DONTWAIT;
    record.scope = 2;
    expect_text(&record, "curl[42] recvfrom(5, 16384, MSG_DONTWAIT) = 1448  from [fe80::1]:443 scope 2\n");

    record = with_peer(AF_INET, (uint8_t[]){127, 0, 0, 1}, 4);
    record.tid = 44;
    record.retries = 3;
    record.result_flags |= RECVSHIM_RESULT_NORMALISED;
    record.injected = 1;
    record.flags = MSG_PEEK | MSG_TRUNC | 1U << 31 | 1U << 17;
    record.requested = 1000;
    expect_text(&record, "curl[42/44] recvfrom(5, 1000, MSG_PEEK|MSG_TRUNC|0x80020000) = 1448  from 127.0.0.1:443, "
                         "scope normalised, cut to 1000 bytes, retried 3 times, injected: error\n");

    record = base_record();
    record.event = RECVSHIM_EVENT_DISCONNECT;
    record.socket_type = SOCK_STREAM;
    record.result = 0;
    record.duration = 1000001234;
    record.result_flags = RECVSHIM_RESULT_DURATION;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 0 <1.000001234>  disconnect: peer closed the connection\n");

    record = base_record();
    record.event = RECVSHIM_EVENT_DISCONNECT;
    record.socket_type = SOCK_STREAM;
    record.result = -1;
    record.error = ECONNRESET;
    record.retries = 1;
    record.pid = record.tid = 99;
    expect_text(&record, "?[99] recvfrom(5, 16384) = -1 ECONNRESET  disconnect: reset by peer, retried 1 time\n");

    record = base_record();
    record.event = RECVSHIM_EVENT_WOULD_BLOCK;
    record.result = -1;
    record.error = EAGAIN;
    expect_text(&record, "curl[42] recvfrom(5, 16384) = -1 EAGAIN\n");

    record = base_record();
    record.event = 77;
    record.call = 88;
    record.error = 60000;
    record.result = INT64_MIN;
    record.fd = INT32_MIN;
    expect_text(&record, "curl[42] unknown(-2147483648, 16384) = -9223372036854775808 errno 60000\n");
}

Test(format, text_escapes_what_could_move_a_cursor)
{
    struct recvshim_record record = with_peer(AF_UNIX, &(uint32_t){1}, 4);
    record.pid = record.tid = 43;
    expect_text(&record, "a\"b\\x0a\\x1b\\xff\xc3\xa9[43] recvfrom(5, 16384) = 1448  from @a,\"\\xff\n");
    record = with_peer(AF_UNIX, &(uint32_t){0}, 4);
    expect_text(&record, "curl[42] recvfrom(5, 16384) = 1448  from an unnamed unix socket\n");
}

Test(format, colour_only_where_wanted)
{
    struct recvshim_record record = base_record();
    cr_assert_null(strchr(print(&format_text, &record, false), '\033'));
    cr_assert_not_null(strchr(print(&format_text, &record, true), '\033'));
}

Test(format, json_has_every_key)
{
    struct recvshim_record record = with_peer(AF_INET6, link_local, 16);
    record.flags = MSG_DONTWAIT | MSG_PEEK;
    record.scope = 2;
    record.local_port = 5555;
    cr_assert_str_eq(
        print(&format_json, &record, false), JSON_START
        "\"pid\":42,\"tid\":42,\"comm\":\"curl\",\"event\":\"receive\",\"call\":\"recvfrom\","
        "\"fd\":5,\"connection\":7,\"requested\":16384,\"size\":1448,\"result\":1448,"
        "\"flags\":[\"MSG_PEEK\",\"MSG_DONTWAIT\"],\"error\":null,\"retries\":0,"
        "\"duration_ns\":null,\"peer\":{\"family\":\"inet6\",\"address\":\"fe80::1\","
        "\"port\":443,\"scope_id\":2},\"local_port\":5555,\"cause\":null,"
        "\"normalised\":false,\"injected\":false,\"first\":null,\"local_address\":null,"
        "\"socket\":null,\"tcp\":null,\"signals\":null,\"signals_certain\":null,\"passed\":null" JSON_NO_FAULTS);

    record = base_record();
    record.pid = 1;
    record.connection = 0;
    record.event = RECVSHIM_EVENT_DISCONNECT;
    record.socket_type = SOCK_STREAM;
    record.result = -1;
    record.error = ETIMEDOUT;
    record.retries = UINT32_MAX;
    record.duration = 17;
    record.injected = 2;
    record.result_flags = RECVSHIM_RESULT_DURATION | RECVSHIM_RESULT_NORMALISED;
    cr_assert_str_eq(print(&format_json, &record, false),
                     JSON_START "\"pid\":1,\"tid\":42,\"comm\":null,\"event\":\"disconnect\",\"call\":\"recvfrom\","
                                "\"fd\":5,\"connection\":null,\"requested\":16384,\"size\":0,\"result\":-1,"
                                "\"flags\":[],\"error\":\"ETIMEDOUT\",\"retries\":4294967295,\"duration_ns\":17,"
                                "\"peer\":null,\"local_port\":null,\"cause\":\"timeout\",\"normalised\":true,"
                                "\"injected\":true,\"first\":null,\"local_address\":null,\"socket\":\"stream\","
                                "\"tcp\":null,\"signals\":null,\"signals_certain\":null,\"passed\":null,"
                                "\"faults\":[\"eof\"],\"fault\":null}\n");
}

Test(format, json_is_valid_whatever_the_names_hold)
{
    struct recvshim_record record = with_peer(AF_UNIX, &(uint32_t){1}, 4);
    record.pid = 43;
    const char *line = print(&format_json, &record, false);
    cr_assert_not_null(strstr(line, "\"comm\":\"a\\\"b\\u000a\\u001b\\ufffd\xc3\xa9\""), "%s", line);
    cr_assert_not_null(strstr(line, "{\"family\":\"unix\",\"address\":\"@a,\\\"\\ufffd\",\"port\":null,"), "%s", line);
}

Test(format, csv_quotes_where_it_must)
{
    struct recvshim_record record = with_peer(AF_UNIX, &(uint32_t){1}, 4);
    record.flags = MSG_DONTWAIT | MSG_PEEK;
    const char *text = print(&format_csv, &record, false);
    const char *line = strchr(text, '\n') + 1;
    cr_assert_str_eq(line,
                     "2001-09-09T01:46:41.623456789Z,42,42,curl,receive,recvfrom,5,7,16384,1448,1448,"
                     "MSG_PEEK|MSG_DONTWAIT,,0,,unix,\"@a,\"\"\xef\xbf\xbd\",,0,,,false,false,,,,,,,,,," CSV_NO_FAULTS);
    struct event event = {.event = "receive",
                          .call = "recv",
                          .is_receive = true,
                          .family = "unix",
                          .address = "@a\0b",
                          .address_length = 4};
    struct printer printer = {.output = &output};
    output_init(&output, -1);
    format_csv.event(&printer, &event);
    cr_assert_null(memchr(output.buffer, '\0', (size_t)(output.at - output.buffer)));

    record = base_record();
    record.pid = 44;
    cr_assert_not_null(strstr(print(&format_csv, &record, false), "Z,44,42,\"a,b\",receive,"));
    text = print(&format_csv, &record, false);
    size_t columns = 1;
    for (const char *at = text; *at != '\n'; at++)
        columns += *at == ',';
    cr_assert_eq(columns, 39);
}

Test(format, chrome_draws_slices_and_instants)
{
    struct recvshim_record record = base_record();
    const char *text = print(&format_chrome, &record, false);
    cr_assert_not_null(strstr(text, "\"ph\":\"i\",\"s\":\"t\",\"ts\":1623456.789,\"pid\":42"), "%s", text);
    cr_assert_not_null(
        strstr(text, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":42,\"args\":{\"name\":\"curl\"}}"));
    record.duration = 1500;
    record.result_flags = RECVSHIM_RESULT_DURATION;
    text = print(&format_chrome, &record, false);
    cr_assert_not_null(strstr(text, "\"ph\":\"X\",\"dur\":1.500,\"ts\":1623455.289,"), "%s", text);
}

/* Every string as long and as awkward as can be, every flag: it must fit what output_reserve() makes room for. */
Test(format, the_longest_event_fits)
{
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome};
    struct recvshim_record record;
    memset(&record, 0xff, sizeof record);
    record.family = AF_UNIX;
    struct process process = {.comm = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"};
    struct process_list processes = {.items = &process};
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct printer printer;
        struct event event = {.record = record,
                              .realtime = UINT64_MAX,
                              .comm = process.comm,
                              .event = "would-block",
                              .call = "recvfrom",
                              .cause = "local-shutdown",
                              .error = "EPROTONOSUPPORT",
                              .size = UINT64_MAX,
                              .first = "program",
                              .socket = "seqpacket",
                              .tcp_state = "ESTABLISHED",
                              .interruption = {OUTCOME_LEFT, CERTAINTY_EXACT, UINT64_MAX},
                              .is_receive = true,
                              .family = "unix",
                              .has_local = true,
                              .address_length = 108,
                              .local_length = 108};
        memset(event.address, '\2', sizeof event.address);
        memcpy(event.local_address, event.address, sizeof event.local_address);
        output_init(&output, memfd_create("output", MFD_CLOEXEC));
        printer_init(&printer, &output, formats[i], &trace, &processes);
        printer.colour = true;
        printer_event(&printer, &event);
        cr_assert_lt(output.at - output.buffer, OUTPUT_EVENT_MAX);
        close(output.fd);
    }
}

Test(output, writes_numbers)
{
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    static const uint64_t numbers[] = {0, 9, 10, 99, 100, 12345, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        output_unsigned(&output, numbers[i]);
        output_byte(&output, ' ');
    }
    output_signed(&output, INT64_MIN);
    output_byte(&output, ' ');
    output_padded(&output, 42, 6);
    output_byte(&output, ' ');
    output_hex(&output, 15);
    output_hex(&output, UINT64_MAX);
    cr_assert_str_eq(take_printed(), "0 9 10 99 100 12345 18446744073709551615 -9223372036854775808 000042 "
                                     "fffffffffffffffff");
}

Test(output, keeps_the_first_error)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[1]);
    output_init(&output, ends[0]); /* cannot be written */
    for (int i = 0; i < 100; i++) {
        output_reserve(&output);
        memset(output.at, 'x', OUTPUT_EVENT_MAX);
        output.at += OUTPUT_EVENT_MAX;
    }
    cr_assert_not(output_flush(&output));
    cr_assert_eq(output.error, EBADF);
}

Test(utf8, tells_characters_from_bytes)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t character;
    } rows[] = {
        {"a", 1, 'a'},
        {"\xc3\xa9", 2, 0xe9},
        {"\xe2\x82\xac", 3, 0x20ac},
        {"\xf0\x9f\x98\x80", 4, 0x1f600},
        {"\x80", 0, 0},
        {"\xc3", 0, 0},
        {"\xc3(", 0, 0},
        {"\xc0\xaf", 0, 0},
        {"\xe0\x80\xaf", 0, 0},
        {"\xed\xa0\x80", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\xff", 0, 0},
        {"\xf0\x9f\x98", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t character = 0;
        cr_assert_eq(utf8_decode(rows[i].bytes, strlen(rows[i].bytes), &character), rows[i].length, "row %zu", i);
        cr_assert_eq(character, rows[i].character);
    }
}
