/* One JSON object on a line (INTERFACE.md: "A JSON event"): every key always, null where there is no value. */
#include "format.h"
#include "json.h"
#include "json_event.h"

#include "trace/clock.h"

/* A key with its quotes, its colon and the comma before it. */
#define KEY(output, name)     output_bytes(output, ",\"" name "\":", sizeof(",\"" name "\":") - 1)
#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

static void add_number_or_null(struct output *output, bool known, uint64_t number)
{
    if (known)
        output_unsigned(output, number);
    else
        LITERAL(output, "null");
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

static void add_fd(struct output *output, const struct event *event)
{
    if (event->is_process)
        LITERAL(output, "null");
    else
        output_signed(output, event->record.fd);
}

/* What else is known of the connection and its end. */
static void add_connection(struct output *output, const struct event *event)
{
    KEY(output, "first");
    json_name(output, event->first);
    KEY(output, "local_address");
    if (event->has_local)
        json_string(output, event->local_address, event->local_length);
    else
        LITERAL(output, "null");
    KEY(output, "socket");
    json_name(output, event->socket);
    KEY(output, "tcp");
    json_tcp(output, event->tcp_state != NULL ? &event->record.tcp : NULL);
}

static void add_interruption(struct output *output, const struct interruption *interruption)
{
    KEY(output, "signals");
    json_signals(output, interruption);
    KEY(output, "signals_certain");
    json_certain(output, interruption->certainty);
    KEY(output, "passed");
    if (interruption->outcome == OUTCOME_PASSED || interruption->outcome == OUTCOME_LEFT)
        json_truth(output, interruption->outcome == OUTCOME_PASSED);
    else
        LITERAL(output, "null");
}

static void add_faults(struct output *output, const struct event *event)
{
    KEY(output, "faults");
    if (event->is_call)
        json_actions(output, event->record.injected);
    else
        LITERAL(output, "null");
    KEY(output, "fault");
    json_fault(output, event->is_fault ? &event->fault : NULL);
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
    if (event->comm != NULL)
        json_string(output, event->comm, strlen(event->comm));
    else
        LITERAL(output, "null");
    KEY(output, "event");
    json_name(output, event->event);
    KEY(output, "call");
    json_name(output, event->call);
    KEY(output, "fd");
    add_fd(output, event);
    KEY(output, "connection");
    add_number_or_null(output, record->connection != 0, record->connection);
    KEY(output, "requested");
    add_number_or_null(output, event->is_call, record->requested);
    KEY(output, "size");
    add_number_or_null(output, event->is_receive, event->size);
    KEY(output, "result");
    if (event->is_fault)
        LITERAL(output, "null"); /* nothing has been returned yet */
    else
        output_signed(output, record->result);
    KEY(output, "flags");
    json_flags(output, record->flags);
    KEY(output, "error");
    json_name(output, event->error);
    KEY(output, "retries");
    output_unsigned(output, record->retries);
    KEY(output, "duration_ns");
    add_number_or_null(output, (record->result_flags & RECVSHIM_RESULT_DURATION) != 0, record->duration);
    add_peer(output, event);
    KEY(output, "local_port");
    add_number_or_null(output, record->local_port != 0, record->local_port);
    KEY(output, "cause");
    json_name(output, event->cause);
    KEY(output, "normalised");
    json_truth(output, (record->result_flags & RECVSHIM_RESULT_NORMALISED) != 0);
    KEY(output, "injected");
    json_truth(output, record->injected != 0);
    add_connection(output, event);
    add_interruption(output, &event->interruption);
    add_faults(output, event);
    LITERAL(output, "}\n");
}

const struct format format_json = {.name = "json", .event = json_event};
