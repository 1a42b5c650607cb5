#include "printing.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void use_utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

struct output output;

const char *take_printed(void)
{
    static char text[1 << 16];
    cr_assert(output_flush(&output));
    ssize_t length = pread(output.fd, text, sizeof text - 1, 0);
    cr_assert_geq(length, 0);
    text[length] = '\0';
    close(output.fd);
    return text;
}

const char *print(const struct format *format, const struct recvshim_record *record, bool colour)
{
    static struct event_maker maker;
    static struct process_list processes;
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    fixture_process(&trace, 42, 0, "curl");
    trace.processes[0].parent = 11;
    fixture_process(&trace, 43, 0, "a\"b\n\x1b\xff\xc3\xa9");
    fixture_process(&trace, 44, 0, "a,b");
    trace.names[0] = (struct recvshim_name){.state = 2, .length = 5, .text = "\0a,\"\xff"};
    trace.names[1] = (struct recvshim_name){.state = 2, .length = 13, .text = "/run/app.sock"};
    cr_assert(process_list_update(&processes, &trace));
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    event_maker_init(&maker, &trace, &processes);
    struct printer printer;
    printer_init(&printer, &output, format, &trace, &processes);
    printer.colour = colour;
    struct event event = {.record = *record};
    event_complete(&maker, &event);
    if (format->begin != NULL)
        format->begin(&printer);
    printer_event(&printer, &event);
    if (format->end != NULL)
        format->end(&printer);
    return take_printed();
}

struct recvshim_record base_record(void)
{
    return (struct recvshim_record){.time = 2623456789,
                                    .connection = 7,
                                    .result = 1448,
                                    .requested = 16384,
                                    .pid = 42,
                                    .tid = 42,
                                    .fd = 5,
                                    .call = RECVSHIM_CALL_RECVFROM};
}

struct recvshim_record with_peer(uint16_t family, const void *address, size_t length)
{
    struct recvshim_record record = base_record();
    record.family = family;
    record.port = 443;
    record.result_flags = RECVSHIM_RESULT_PEER;
    memcpy(record.address, address, length);
    return record;
}

void expect_text(const struct recvshim_record *record, const char *expected)
{
    const char *line = print(&format_text, record, false);
    static const char start[] = "2001-09-09 01:46:41.623456 ";
    cr_assert_eq(strncmp(line, start, sizeof start - 1), 0, "%s", line);
    cr_assert_str_eq(line + sizeof start - 1, expected);
}
