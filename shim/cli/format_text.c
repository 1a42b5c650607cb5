/* A line for a person, in strace's manner. */
#include "format.h"
#include "story.h"
#include "text.h"

#include "trace/clock.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

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
    output_separate(output, ' ', '|');
    output_text(output, name);
}

/* call(fd, requested, flags) = result ERROR <duration>, as far as the event has them. */
static void add_call(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    output_text(output, event->is_call ? event->call : event->event);
    output_byte(output, '(');
    if (record->event != RECVSHIM_EVENT_ACCEPT) /* the listener is not kept: the descriptor is the result */
        output_signed(output, record->fd);
    if (event->is_call) {
        LITERAL(output, ", ");
        output_unsigned(output, record->requested);
    }
    if (event->is_call && record->flags != 0) {
        LITERAL(output, ", ");
        flags_for_each(record->flags, add_flag, output);
    }
    output_byte(output, ')');
    if (record->event == RECVSHIM_EVENT_CLOSE || event->is_fault)
        return; /* it is recorded when it is made: there is no result yet */
    LITERAL(output, " = ");
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

/* What separates two remarks: two spaces before the first, a comma before the others. */
static void next_remark(struct output *output, bool *first)
{
    output_bytes(output, *first ? "  " : ", ", 2);
    *first = false;
}

/* How the connection ended, or how the program ended it. */
static void add_end(struct printer *printer, const struct event *event, bool *first)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    if (record->event == RECVSHIM_EVENT_DISCONNECT) {
        enum cause cause = cause_of(record);
        next_remark(output, first);
        colour(printer, YELLOW);
        LITERAL(output, "disconnect: ");
        output_text(output, cause_meanings[cause]);
        if (cause != CAUSE_LOCAL_SHUTDOWN && first_of(record) == FIRST_PROGRAM)
            LITERAL(output, ", after the program shut down writing");
        colour(printer, PLAIN);
    } else if (record->event == RECVSHIM_EVENT_CLOSE && event->first != NULL) {
        next_remark(output, first);
        output_text(output, event->first);
        LITERAL(output, " closed first");
    }
}

static void add_local(struct output *output, const struct event *event)
{
    text_address(output, event->record.family, event->local_address, event->local_length, event->record.local_port);
}

/* The two ends. Ours is told where the connection begins, and of unix sockets, where the peer seldom has a name. */
static void add_ends(struct output *output, const struct event *event, bool *first)
{
    const struct recvshim_record *record = &event->record;
    bool connect = record->event == RECVSHIM_EVENT_CONNECT, unix_socket = record->family == AF_UNIX;
    bool begins = connect || record->event == RECVSHIM_EVENT_ACCEPT;
    bool local = event->has_local && (!unix_socket || event->local_length > 0) &&
                 (begins || (unix_socket && event->address_length == 0));
    if (event->family != NULL || local)
        next_remark(output, first);
    if (event->family != NULL) {
        output_text(output, connect ? "to " : record->event == RECVSHIM_EVENT_CLOSE ? "peer " : "from ");
        text_address(output, record->family, event->address, event->address_length, record->port);
        if (record->scope != 0 && !unix_socket) {
            LITERAL(output, " scope ");
            output_unsigned(output, record->scope);
        }
    }
    if (local) {
        if (event->family != NULL)
            output_byte(output, ' ');
        output_text(output, connect ? "from " : "to ");
        add_local(output, event);
    }
}

/* The state that goes without saying once the line has told how the connection ended. None where it tells nothing. */
static uint8_t expected_state(const struct recvshim_record *record)
{
    static const uint8_t of_cause[CAUSES] = {
        [CAUSE_EOF] = TCP_CLOSE_WAIT, [CAUSE_RESET] = TCP_CLOSE,       [CAUSE_TIMEOUT] = TCP_CLOSE,
        [CAUSE_ABORTED] = TCP_CLOSE,  [CAUSE_UNREACHABLE] = TCP_CLOSE, [CAUSE_LOCAL_SHUTDOWN] = TCP_ESTABLISHED};
    static const uint8_t of_first[] = {[FIRST_PEER] = TCP_CLOSE_WAIT, [FIRST_PROGRAM] = TCP_ESTABLISHED};
    return record->event == RECVSHIM_EVENT_DISCONNECT ? of_cause[cause_of(record)] : of_first[first_of(record)];
}

/* A count, unless it is 0; one that stopped at its maximum gets a plus. */
static void add_some(struct output *output, bool *first, unsigned int number, unsigned int max, const char *what)
{
    if (number == 0)
        return;
    next_remark(output, first);
    output_unsigned(output, number);
    if (number == max)
        output_byte(output, '+');
    output_text(output, what);
}

static void add_tcp(struct output *output, const struct event *event, bool *first)
{
    const struct recvshim_tcp *tcp = &event->record.tcp;
    if (tcp->state != expected_state(&event->record)) {
        next_remark(output, first);
        LITERAL(output, "state ");
        output_text(output, event->tcp_state);
    }
    if (tcp->rtt != 0) {
        next_remark(output, first);
        LITERAL(output, "rtt ");
        text_span(output, tcp->rtt * UINT64_C(1000));
    }
    add_some(output, first, tcp->retransmits, UINT16_MAX, tcp->retransmits == 1 ? " retransmit" : " retransmits");
    /* Of a listener, the kernel tells the connections that wait in its queue (tcp_get_info). */
    add_some(output, first, tcp->unacked, UINT8_MAX, tcp->state == TCP_LISTEN ? " not accepted" : " unacked");
}

/* By what it was interrupted, and what became of it. */
static void add_interruption(struct output *output, const struct event *event, bool *first)
{
    const struct interruption *interruption = &event->interruption;
    bool reached = interruption->outcome == OUTCOME_PASSED || interruption->outcome == OUTCOME_LEFT;
    bool retried = event->record.retries != 0;
    char words[INTERRUPTION_WORDS_MAX];
    interruption_words(interruption, reached ? "by" : "after", words);
    if (reached) {
        next_remark(output, first);
        LITERAL(output, "interrupted");
        output_text(output, words);
    }
    if (retried) {
        next_remark(output, first);
        LITERAL(output, "retried ");
        text_count(output, event->record.retries, "time");
    }
    if (retried && !reached)
        output_text(output, words);
    if (interruption->outcome == OUTCOME_PASSED) {
        next_remark(output, first);
        output_text(output, retried ? "then left to the program by policy" : "left to the program by policy");
    } else if (interruption->outcome == OUTCOME_LEFT) {
        next_remark(output, first);
        output_text(output, retried ? "cannot be retried again" : "cannot be retried");
    }
}

/* What was injected, and where: so that a rule can name it. */
static void add_fault(struct printer *printer, const struct injection *fault, bool *first)
{
    struct output *output = printer->output;
    char words[INJECTION_WORDS_MAX];
    injection_words(fault, words);
    next_remark(output, first);
    colour(printer, YELLOW);
    LITERAL(output, "fault: ");
    output_text(output, words);
    colour(printer, PLAIN);
    LITERAL(output, " by rule ");
    output_unsigned(output, fault->rule);
    LITERAL(output, " in receive ");
    output_unsigned(output, fault->ordinal);
    LITERAL(output, " of origin ");
    output_hex(output, fault->origin);
}

static void add_remarks(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    bool first = true;
    if (event->is_fault)
        add_fault(printer, &event->fault, &first);
    add_end(printer, event, &first);
    if (record->event == RECVSHIM_EVENT_EMPTY) {
        next_remark(output, &first);
        LITERAL(output, "empty datagram");
    }
    add_ends(output, event, &first);
    if (event->tcp_state != NULL)
        add_tcp(output, event, &first);
    if ((record->result_flags & RECVSHIM_RESULT_NORMALISED) != 0) {
        next_remark(output, &first);
        LITERAL(output, "scope normalised");
    }
    if (event->is_receive && record->result >= 0 && event->size != (uint64_t)record->result) {
        next_remark(output, &first);
        LITERAL(output, "cut to ");
        output_unsigned(output, event->size);
        LITERAL(output, " bytes");
    }
    add_interruption(output, event, &first);
    if (event->is_receive && record->injected != 0) {
        next_remark(output, &first);
        LITERAL(output, "injected: ");
        actions_for_each(record->injected, add_flag, output);
    }
}

/* In the words of strace -f. */
static void add_process(struct output *output, const struct event *event)
{
    if (event->record.event == RECVSHIM_EVENT_EXIT) {
        LITERAL(output, "+++ exited with ");
        output_unsigned(output, (uint64_t)event->record.result & 0xff); /* what the parent gets to see */
    } else {
        LITERAL(output, "+++ started");
        if (event->parent != 0) {
            LITERAL(output, ", child of ");
            output_unsigned(output, event->parent);
        }
    }
    LITERAL(output, " +++");
}

/* The time of day; in the story of a connection also the time since its first event. */
static void add_time(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    colour(printer, DIM);
    printer_stamp(printer, printer->date ? "%Y-%m-%d %H:%M:%S." : "%H:%M:%S.", localtime_r, event->realtime);
    output_padded(output, event->realtime % NANOSECONDS_A_SECOND / 1000U, 6);
    output_byte(output, ' ');
    if (printer->story != NULL) {
        uint64_t since = story_age(printer->story, &event->record);
        output_byte(output, '+');
        output_unsigned(output, since / NANOSECONDS_A_SECOND);
        output_byte(output, '.');
        output_padded(output, since % NANOSECONDS_A_SECOND / 1000U, 6);
        output_byte(output, ' ');
    }
    colour(printer, PLAIN);
}

static void text_event(struct printer *printer, const struct event *event)
{
    struct output *output = printer->output;
    const struct recvshim_record *record = &event->record;
    add_time(printer, event);
    colour(printer, CYAN);
    if (event->comm != NULL)
        text_name(output, event->comm, strlen(event->comm));
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
    if (event->is_process) {
        add_process(output, event);
    } else {
        add_call(printer, event);
        add_remarks(printer, event);
    }
    output_byte(output, '\n');
}

static void text_end(struct printer *printer)
{
    if (printer->story != NULL && printer->events > 0)
        story_print(printer->story, printer->output);
}

const struct format format_text = {.name = "text", .event = text_event, .end = text_end};
