/* A line for a person, in strace's manner. */
#include "format.h"
#include "utf8.h"

#include "trace/clock.h"

#include <sys/socket.h>

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

/* A name that may hold any bytes: what could move a cursor or end a line is escaped. */
static void add_name(struct output *output, const char *bytes, size_t count)
{
    for (size_t at = 0; at < count;) {
        if (bytes[at] >= 0x20 && bytes[at] < 0x7f) {
            output_byte(output, bytes[at++]);
            continue;
        }
        uint32_t character;
        size_t length = utf8_decode(bytes + at, count - at, &character);
        if (length == 0 || character < 0x20 || (character >= 0x7f && character < 0xa0)) {
            unsigned char byte = (unsigned char)bytes[at++];
            LITERAL(output, "\\x");
            output_byte(output, "0123456789abcdef"[byte >> 4]);
            output_byte(output, "0123456789abcdef"[byte & 0xf]);
        } else {
            output_bytes(output, bytes + at, length);
            at += length;
        }
    }
}

static void colour(const struct printer *printer, const char *code)
{
    if (printer->colour) {
        LITERAL(printer->output, "\033[");
        output_text(printer->output, code);
        output_byte(printer->output, 'm');
    }
}
#define DIM    "2"
#define RED    "31"
#define YELLOW "33"
#define CYAN   "36"
#define PLAIN  "0"

static void add_flag(void *context, const char *name)
{
    struct output *output = context;
    if (output->at[-1] != ' ')
        output_byte(output, '|');
    output_text(output, name);
}

static void add_call(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    output_text(output, event->call);
    output_byte(output, '(');
    output_signed(output, record->fd);
    LITERAL(output, ", ");
    output_unsigned(output, record->requested);
    if (record->flags != 0) {
        LITERAL(output, ", ");
        flags_for_each(record->flags, add_flag, output);
    }
    LITERAL(output, ") = ");
    if (event->error != NULL)
        colour(printer, RED);
    output_signed(output, record->result);
    if (event->error != NULL) {
        output_byte(output, ' ');
        output_text(output, event->error);
        colour(printer, PLAIN);
    }
    if ((record->result_flags & RECVSHIM_RESULT_DURATION) != 0) {
        LITERAL(output, " <");
        output_unsigned(output, record->duration / NANOSECONDS_A_SECOND);
        output_byte(output, '.');
        output_padded(output, record->duration % NANOSECONDS_A_SECOND, 9);
        output_byte(output, '>');
    }
}

static void add_peer(struct output *output, const struct event *event)
{
    const struct recvshim_record *record = &event->record;
    if (record->family == AF_UNIX) {
        if (event->address_length == 0)
            LITERAL(output, "from an unnamed unix socket");
        else {
            LITERAL(output, "from ");
            add_name(output, event->address, event->address_length);
        }
        return;
    }
    LITERAL(output, "from ");
    if (record->family == AF_INET6)
        output_byte(output, '[');
    output_bytes(output, event->address, event->address_length);
    if (record->family == AF_INET6)
        output_byte(output, ']');
    output_byte(output, ':');
    output_unsigned(output, record->port);
    if (record->scope != 0) {
        LITERAL(output, " scope ");
        output_unsigned(output, record->scope);
    }
}

/* What separates two remarks: two spaces before the first, a comma before the others. */
static void next_remark(struct output *output, bool *first)
{
    output_bytes(output, *first ? "  " : ", ", 2);
    *first = false;
}

static void add_remarks(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    bool first = true;
    if (record->event == RECVSHIM_EVENT_DISCONNECT) {
        next_remark(output, &first);
        colour(printer, YELLOW);
        LITERAL(output, "disconnect: ");
        output_text(output, cause_meanings[cause_of(record)]);
        colour(printer, PLAIN);
    } else if (record->event == RECVSHIM_EVENT_EMPTY) {
        next_remark(output, &first);
        LITERAL(output, "empty datagram");
    }
    if (event->family != NULL) {
        next_remark(output, &first);
        add_peer(output, event);
    }
    if ((record->result_flags & RECVSHIM_RESULT_NORMALISED) != 0) {
        next_remark(output, &first);
        LITERAL(output, "scope normalised");
    }
    if (record->result >= 0 && event->size != (uint64_t)record->result) {
        next_remark(output, &first);
        LITERAL(output, "cut to ");
        output_unsigned(output, event->size);
        LITERAL(output, " bytes");
    }
    if (record->retries != 0) {
        next_remark(output, &first);
        LITERAL(output, "retried ");
        output_unsigned(output, record->retries);
        output_text(output, record->retries == 1 ? " time" : " times");
    }
    if (record->injected != 0) {
        next_remark(output, &first);
        LITERAL(output, "fault injected");
    }
}

static void text_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    colour(printer, DIM);
    printer_stamp(printer, printer->date ? "%Y-%m-%d %H:%M:%S." : "%H:%M:%S.", localtime_r, event->realtime);
    output_padded(output, event->realtime % NANOSECONDS_A_SECOND / 1000U, 6);
    output_byte(output, ' ');
    colour(printer, PLAIN);
    colour(printer, CYAN);
    if (event->comm != NULL)
        add_name(output, event->comm, strlen(event->comm));
    else
        output_byte(output, '?');
    output_byte(output, '[');
    output_unsigned(output, record->pid);
    if (record->tid != record->pid) {
        output_byte(output, '/');
        output_unsigned(output, record->tid);
    }
    LITERAL(output, "] ");
    colour(printer, PLAIN);
    add_call(printer, event);
    add_remarks(printer, event);
    output_byte(output, '\n');
}

const struct format format_text = {.name = "text", .event = text_event};
