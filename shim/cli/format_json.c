/* One JSON object on a line (INTERFACE.md: "A JSON event"): every key always, null where there is no value. */
#include "format.h"
#include "json.h"

#include "trace/clock.h"

/* A key with its quotes, its colon and the comma before it. */
#define KEY(output, name)     output_bytes(output, ",\"" name "\":", sizeof(",\"" name "\":") - 1)
#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

static void add_optional(struct output *output, const char *text)
{
    if (text == NULL)
        LITERAL(output, "null");
    else
        json_string(output, text, strlen(text));
}

static void add_number_or_null(struct output *output, bool known, uint64_t number)
{
    if (known)
        output_unsigned(output, number);
    else
        LITERAL(output, "null");
}

static void add_truth(struct output *output, bool truth)
{
    if (truth)
        LITERAL(output, "true");
    else
        LITERAL(output, "false");
}

static void add_peer(struct output *output, const struct event *event)
{
    const struct recvshim_record *record = &event->record;
    KEY(output, "peer");
    if (event->family == NULL) {
        LITERAL(output, "null");
        return;
    }
    LITERAL(output, "{\"family\":\"");
    output_text(output, event->family);
    LITERAL(output, "\",\"address\":");
    json_string(output, event->address, event->address_length);
    bool has_port = strcmp(event->family, "unix") != 0;
    KEY(output, "port");
    add_number_or_null(output, has_port, record->port);
    KEY(output, "scope_id");
    output_unsigned(output, record->scope);
    output_byte(output, '}');
}

static void json_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    LITERAL(output, "{\"time\":\"");
    printer_stamp(printer, "%Y-%m-%dT%H:%M:%S.", gmtime_r, event->realtime);
    output_padded(output, event->realtime % NANOSECONDS_A_SECOND, 9);
    LITERAL(output, "Z\"");
    KEY(output, "pid");
    output_unsigned(output, record->pid);
    KEY(output, "tid");
    output_unsigned(output, record->tid);
    KEY(output, "comm");
    add_optional(output, event->comm);
    KEY(output, "event");
    add_optional(output, event->event);
    KEY(output, "call");
    add_optional(output, event->call);
    KEY(output, "fd");
    output_signed(output, record->fd);
    KEY(output, "connection");
    add_number_or_null(output, record->connection != 0, record->connection);
    KEY(output, "requested");
    output_unsigned(output, record->requested);
    KEY(output, "size");
    output_unsigned(output, event->size);
    KEY(output, "result");
    output_signed(output, record->result);
    KEY(output, "flags");
    json_flags(output, record->flags);
    KEY(output, "error");
    add_optional(output, event->error);
    KEY(output, "retries");
    output_unsigned(output, record->retries);
    KEY(output, "duration_ns");
    add_number_or_null(output, (record->result_flags & RECVSHIM_RESULT_DURATION) != 0, record->duration);
    add_peer(output, event);
    KEY(output, "local_port");
    add_number_or_null(output, record->local_port != 0, record->local_port);
    KEY(output, "cause");
    add_optional(output, event->cause);
    KEY(output, "normalised");
    add_truth(output, (record->result_flags & RECVSHIM_RESULT_NORMALISED) != 0);
    KEY(output, "injected");
    add_truth(output, record->injected != 0);
    LITERAL(output, "}\n");
}

const struct format format_json = {.name = "json", .event = json_event};
