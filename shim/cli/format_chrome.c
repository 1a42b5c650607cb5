/* Chrome's trace-event JSON, which Perfetto and chrome://tracing open: a slice for each call whose duration was
 * measured, an instant for the others, on a track for each thread. Times are microseconds since the trace was made. */
#include "format.h"
#include "json.h"
#include "json_event.h"

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

/* A key with its quotes, its colon and the comma before it. */
#define KEY(output, name) LITERAL(output, ",\"" name "\":")

static void add_known(struct output *output, const char *key, const char *text)
{
    if (text == NULL)
        return;
    output_text(output, key);
    json_string(output, text, strlen(text));
}

static void add_addresses(struct output *output, const struct event *event)
{
    if (event->family != NULL) {
        KEY(output, "peer");
        json_string(output, event->address, event->address_length);
        if (strcmp(event->family, "unix") != 0) {
            KEY(output, "port");
            output_unsigned(output, event->record.port);
        }
    }
    if (event->has_local) {
        KEY(output, "local_address");
        json_string(output, event->local_address, event->local_length);
    }
    if (event->record.local_port != 0) {
        KEY(output, "local_port");
        output_unsigned(output, event->record.local_port);
    }
}

static void add_interruption(struct output *output, const struct interruption *interruption)
{
    if (interruption->certainty != CERTAINTY_UNKNOWN) {
        KEY(output, "signals");
        json_signals(output, interruption);
        KEY(output, "signals_certain");
        json_certain(output, interruption->certainty);
    }
    if (interruption->outcome == OUTCOME_PASSED || interruption->outcome == OUTCOME_LEFT) {
        KEY(output, "passed");
        output_text(output, interruption->outcome == OUTCOME_PASSED ? "true" : "false");
    }
}

static void add_faults(struct output *output, const struct event *event)
{
    if (event->is_receive && event->record.injected != 0) {
        KEY(output, "faults");
        json_actions(output, event->record.injected);
    }
    if (event->is_fault) {
        KEY(output, "fault");
        json_fault(output, &event->fault);
    }
}

static void add_arguments(struct output *output, const struct event *event)
{
    const struct recvshim_record *record = &event->record;
    LITERAL(output, ",\"args\":{\"result\":");
    if (event->is_fault)
        LITERAL(output, "null");
    else
        output_signed(output, record->result);
    if (!event->is_process) {
        KEY(output, "fd");
        output_signed(output, record->fd);
        KEY(output, "connection");
        output_unsigned(output, record->connection);
    }
    if (event->is_fault)
        add_known(output, ",\"call\":", event->call);
    if (event->is_call) {
        KEY(output, "requested");
        output_unsigned(output, record->requested);
        KEY(output, "flags");
        json_flags(output, record->flags);
    }
    if (event->is_receive) {
        KEY(output, "retries");
        output_unsigned(output, record->retries);
    }
    add_known(output, ",\"error\":", event->error);
    add_known(output, ",\"cause\":", event->cause);
    add_known(output, ",\"first\":", event->first);
    add_addresses(output, event);
    if (event->tcp_state != NULL) {
        KEY(output, "tcp");
        json_tcp(output, &event->record.tcp);
    }
    add_interruption(output, &event->interruption);
    add_faults(output, event);
    output_byte(output, '}');
}

static void chrome_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    const char *name = event->is_receive ? event->call : event->event;
    bool measured = (record->result_flags & RECVSHIM_RESULT_DURATION) != 0;
    separate(printer, printer->events == 0);
    LITERAL(output, "{\"name\":");
    json_string(output, name, strlen(name));
    KEY(output, "cat");
    json_string(output, event->event, strlen(event->event));
    KEY(output, "ph");
    if (measured) {
        LITERAL(output, "\"X\",\"dur\":");
        add_microseconds(output, (int64_t)record->duration);
    } else if (event->is_process) {
        LITERAL(output, "\"i\",\"s\":\"p\""); /* drawn across the whole process */
    } else {
        LITERAL(output, "\"i\",\"s\":\"t\"");
    }
    KEY(output, "ts");
    add_microseconds(output, (int64_t)(record->time - printer->monotonic - (measured ? record->duration : 0)));
    KEY(output, "pid");
    output_unsigned(output, record->pid);
    KEY(output, "tid");
    output_unsigned(output, record->tid);
    add_arguments(output, event);
    output_byte(output, '}');
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
