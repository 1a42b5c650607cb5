/* Comma-separated values (RFC 4180, but lines end in LF as every Unix tool expects): a header line, then one line an
 * event; no value is an empty field. */
#include "format.h"
#include "utf8.h"

#include "trace/clock.h"

static const char header[] = "time,pid,tid,comm,event,call,fd,connection,requested,size,result,flags,error,retries,"
                             "duration_ns,peer_family,peer_address,peer_port,peer_scope_id,local_port,cause,"
                             "normalised,injected,first,local_address,socket,tcp_state,tcp_rtt_us,tcp_retransmits,"
                             "tcp_unacked,signals,signals_certain,passed,faults,fault_rule,fault_value,"
                             "fault_ordinal,fault_origin,fault_draw\n";

/* A field that may hold any bytes, in quotes if it needs them. What is no UTF-8 becomes U+FFFD; so does a zero byte, as
 * an abstract unix name may have, which many readers of CSV refuse. */
static void add_field(struct output *output, const char *bytes, size_t count)
{
    bool quoted = false;
    for (size_t i = 0; i < count && !quoted; i++)
        quoted = bytes[i] == ',' || bytes[i] == '"' || (unsigned char)bytes[i] < 0x20;
    if (quoted)
        output_byte(output, '"');
    for (size_t at = 0; at < count;) {
        if (bytes[at] >= 0x20 && bytes[at] < 0x7f && bytes[at] != '"') {
            output_byte(output, bytes[at++]);
            continue;
        }
        uint32_t character;
        size_t length = utf8_decode(bytes + at, count - at, &character);
        if (length == 0 || bytes[at] == '\0') {
            output_text(output, "\xef\xbf\xbd");
            at++;
            continue;
        }
        if (bytes[at] == '"')
            output_byte(output, '"');
        output_bytes(output, bytes + at, length);
        at += length;
    }
    if (quoted)
        output_byte(output, '"');
}

/* The next field: nothing where there is no text. */
static void add_text(struct output *output, const char *text)
{
    output_byte(output, ',');
    if (text != NULL)
        add_field(output, text, strlen(text));
}

static void add_unsigned(struct output *output, bool known, uint64_t number)
{
    output_byte(output, ',');
    if (known)
        output_unsigned(output, number);
}

static void add_signed(struct output *output, bool known, int64_t number)
{
    output_byte(output, ',');
    if (known)
        output_signed(output, number);
}

static void add_item(void *context, const char *name)
{
    struct output *output = context;
    output_separate(output, ',', '|');
    output_text(output, name);
}

static void add_interruption(struct output *output, const struct interruption *interruption)
{
    static const char *const certain[] = {
        [CERTAINTY_UNKNOWN] = NULL, [CERTAINTY_CANDIDATES] = "false", [CERTAINTY_EXACT] = "true"};
    static const char *const passed[OUTCOMES] = {[OUTCOME_PASSED] = "true", [OUTCOME_LEFT] = "false"};
    output_byte(output, ',');
    signals_for_each(interruption->signals, add_item, output);
    add_text(output, certain[interruption->certainty]);
    add_text(output, passed[interruption->outcome]);
}

static void add_hex(struct output *output, bool known, uint64_t number)
{
    output_byte(output, ',');
    if (known)
        output_hex(output, number);
}

static void add_faults(struct output *output, const struct event *event)
{
    const struct injection *fault = &event->fault;
    bool known = event->is_fault;
    output_byte(output, ',');
    if (event->is_call)
        actions_for_each(event->record.injected, add_item, output);
    add_unsigned(output, known, fault->rule);
    add_unsigned(output, known && fault->has_value, fault->value);
    add_unsigned(output, known, fault->ordinal);
    add_hex(output, known, fault->origin);
    add_hex(output, known && fault->draw != 0, fault->draw);
}

static void csv_begin(struct printer *printer)
{
    output_reserve(printer->output);
    output_text(printer->output, header);
}

static void csv_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    printer_stamp(printer, "%Y-%m-%dT%H:%M:%S.", gmtime_r, event->realtime);
    output_padded(output, event->realtime % NANOSECONDS_A_SECOND, 9);
    output_byte(output, 'Z');
    add_unsigned(output, true, record->pid);
    add_unsigned(output, true, record->tid);
    add_text(output, event->comm);
    add_text(output, event->event);
    add_text(output, event->call);
    add_signed(output, !event->is_process, record->fd);
    add_unsigned(output, record->connection != 0, record->connection);
    add_unsigned(output, event->is_call, record->requested);
    add_unsigned(output, event->is_receive, event->size);
    add_signed(output, !event->is_fault, record->result);
    output_byte(output, ',');
    flags_for_each(record->flags, add_item, output);
    add_text(output, event->error);
    add_unsigned(output, true, record->retries);
    add_unsigned(output, (record->result_flags & RECVSHIM_RESULT_DURATION) != 0, record->duration);
    bool has_peer = event->family != NULL;
    add_text(output, event->family);
    output_byte(output, ',');
    add_field(output, event->address, event->address_length);
    add_unsigned(output, has_peer && strcmp(event->family, "unix") != 0, record->port);
    add_unsigned(output, has_peer, record->scope);
    add_unsigned(output, record->local_port != 0, record->local_port);
    add_text(output, event->cause);
    add_text(output, (record->result_flags & RECVSHIM_RESULT_NORMALISED) != 0 ? "true" : "false");
    add_text(output, record->injected != 0 ? "true" : "false");
    add_text(output, event->first);
    output_byte(output, ',');
    if (event->has_local)
        add_field(output, event->local_address, event->local_length);
    add_text(output, event->socket);
    bool asked = event->tcp_state != NULL;
    add_text(output, event->tcp_state);
    add_unsigned(output, asked, record->tcp.rtt);
    add_unsigned(output, asked, record->tcp.retransmits);
    add_unsigned(output, asked, record->tcp.unacked);
    add_interruption(output, &event->interruption);
    add_faults(output, event);
    output_byte(output, '\n');
}

const struct format format_csv = {.name = "csv", .begin = csv_begin, .event = csv_event};
