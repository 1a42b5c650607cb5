/* Chrome's trace-event JSON, which Perfetto and chrome://tracing open: a slice for each call whose duration was
 * measured, an instant for the others, on a track for each thread. Times are microseconds since the trace was made. */
#include "format.h"
#include "json.h"

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

static void add_microseconds(struct output *output, int64_t nanoseconds)
{
    uint64_t magnitude = nanoseconds < 0 ? 0 - (uint64_t)nanoseconds : (uint64_t)nanoseconds;
    if (nanoseconds < 0)
        output_byte(output, '-');
    output_unsigned(output, magnitude / 1000);
    output_byte(output, '.');
    output_padded(output, magnitude % 1000, 3);
}

static void chrome_begin(struct printer *printer)
{
    output_reserve(printer->output);
    LITERAL(printer->output, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
}

static void separate(struct printer *printer, bool first)
{
    if (!first)
        LITERAL(printer->output, ",\n");
}

static void chrome_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    bool measured = (record->result_flags & RECVSHIM_RESULT_DURATION) != 0;
    separate(printer, printer->events == 0);
    LITERAL(output, "{\"name\":");
    json_string(output, event->call, strlen(event->call));
    LITERAL(output, ",\"cat\":");
    json_string(output, event->event, strlen(event->event));
    LITERAL(output, ",\"ph\":");
    output_text(output, measured ? "\"X\",\"dur\":" : "\"i\",\"s\":\"t\"");
    if (measured)
        add_microseconds(output, (int64_t)record->duration);
    LITERAL(output, ",\"ts\":");
    add_microseconds(output, (int64_t)(record->time - printer->monotonic - (measured ? record->duration : 0)));
    LITERAL(output, ",\"pid\":");
    output_unsigned(output, record->pid);
    LITERAL(output, ",\"tid\":");
    output_unsigned(output, record->tid);
    LITERAL(output, ",\"args\":{\"fd\":");
    output_signed(output, record->fd);
    LITERAL(output, ",\"connection\":");
    output_unsigned(output, record->connection);
    LITERAL(output, ",\"requested\":");
    output_unsigned(output, record->requested);
    LITERAL(output, ",\"result\":");
    output_signed(output, record->result);
    LITERAL(output, ",\"flags\":");
    json_flags(output, record->flags);
    LITERAL(output, ",\"retries\":");
    output_unsigned(output, record->retries);
    if (event->error != NULL) {
        LITERAL(output, ",\"error\":");
        json_string(output, event->error, strlen(event->error));
    }
    if (event->cause != NULL) {
        LITERAL(output, ",\"cause\":");
        json_string(output, event->cause, strlen(event->cause));
    }
    if (event->family != NULL) {
        LITERAL(output, ",\"peer\":");
        json_string(output, event->address, event->address_length);
        if (strcmp(event->family, "unix") != 0) {
            LITERAL(output, ",\"port\":");
            output_unsigned(output, record->port);
        }
    }
    LITERAL(output, "}}");
}

/* The names of the processes: at the end, when all are known. */
static void chrome_end(struct printer *printer)
{
    struct output *output = printer->output;
    for (size_t i = 0; i < printer->processes->count; i++) {
        const struct process *process = &printer->processes->items[i];
        output_reserve(output);
        separate(printer, printer->events == 0 && i == 0);
        LITERAL(output, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":");
        output_unsigned(output, process->pid);
        LITERAL(output, ",\"args\":{\"name\":");
        json_string(output, process->comm, strlen(process->comm));
        LITERAL(output, "}}");
    }
    output_reserve(output);
    LITERAL(output, "\n]}\n");
}

const struct format format_chrome = {.name = "chrome", .begin = chrome_begin, .event = chrome_event, .end = chrome_end};
