#include "event.h"

#include "trace/error_names.h"
#include "trace/names.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void event_maker_init(struct event_maker *maker, const struct trace *trace, struct process_list *processes)
{
    *maker = (struct event_maker){.trace = trace, .processes = processes};
}

static uint32_t first_word(const uint8_t address[16])
{
    uint32_t word;
    memcpy(&word, address, sizeof word);
    return word;
}

/* The text of an IP address. Most records name the same few, and inet_ntop costs more than all the rest of a line. */
static const struct address_text *address_text(struct event_maker *maker, uint16_t family, const uint8_t bytes[16])
{
    uint8_t address[16] = {0};
    memcpy(address, bytes, family == AF_INET ? 4 : 16);
    uint32_t hash = 0;
    for (size_t i = 0; i < sizeof address; i += 4)
        hash = (hash ^ first_word(address + i)) * UINT32_C(0x9e3779b1);
    struct address_text *text = &maker->addresses[hash >> (32 - EVENT_ADDRESSES_LOG2)];
    if (text->length == 0 || text->family != family || memcmp(text->address, address, sizeof address) != 0) {
        text->family = family;
        memcpy(text->address, address, sizeof address);
        inet_ntop(family, address, text->text, sizeof text->text);
        text->length = (uint8_t)strlen(text->text);
    }
    return text;
}

/* An abstract name begins with a zero byte, and is written with an @ in its place, as ss(8) does. */
static size_t unix_path(const struct trace *trace, const uint8_t address[16], char *text)
{
    size_t length = lookup_name(trace, first_word(address), text);
    if (length > 0 && text[0] == '\0')
        text[0] = '@';
    return length;
}

/* Returns the name of the family, NULL of one that is not known here. */
static inline const char *complete_address(struct event_maker *maker, uint16_t family, const uint8_t address[16],
                                           char *text, size_t *length)
{
    if (family == AF_INET || family == AF_INET6) {
        const struct address_text *known = address_text(maker, family, address);
        *length = known->length;
        memcpy(text, known->text, sizeof known->text); /* all of it: copying a constant size takes no loop */
        return family == AF_INET ? "inet" : "inet6";
    }
    if (family == AF_UNIX) {
        *length = unix_path(maker->trace, address, text);
        return "unix";
    }
    return NULL;
}

static void complete_addresses(struct event_maker *maker, struct event *event)
{
    const struct recvshim_record *record = &event->record;
    event->family = NULL;
    event->address_length = event->local_length = 0;
    if ((record->result_flags & RECVSHIM_RESULT_PEER) != 0)
        event->family =
            complete_address(maker, record->family, record->address, event->address, &event->address_length);
    /* TCP's words lie where the local address does: no honest record has both. */
    event->has_local =
        (record->result_flags & (RECVSHIM_RESULT_LOCAL | RECVSHIM_RESULT_TCP)) == RECVSHIM_RESULT_LOCAL &&
        complete_address(maker, record->family, record->local_address, event->local_address, &event->local_length) !=
            NULL;
}

static const char *call_name(uint8_t call)
{
    if (call == RECVSHIM_CALL_NONE)
        return NULL;
    return call < RECVSHIM_CALLS ? call_names[call] : "unknown";
}

static const char *socket_name(uint8_t type)
{
    static const char *const names[] = {
        [SOCK_STREAM] = "stream", [SOCK_DGRAM] = "dgram", [SOCK_RAW] = "raw", [SOCK_SEQPACKET] = "seqpacket"};
    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}

const char *tcp_state_name(uint8_t state)
{
    static const char *const names[] = {[TCP_ESTABLISHED] = "ESTABLISHED",
                                        [TCP_SYN_SENT] = "SYN_SENT",
                                        [TCP_SYN_RECV] = "SYN_RECV",
                                        [TCP_FIN_WAIT1] = "FIN_WAIT1",
                                        [TCP_FIN_WAIT2] = "FIN_WAIT2",
                                        [TCP_TIME_WAIT] = "TIME_WAIT",
                                        [TCP_CLOSE] = "CLOSE",
                                        [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
                                        [TCP_LAST_ACK] = "LAST_ACK",
                                        [TCP_LISTEN] = "LISTEN",
                                        [TCP_CLOSING] = "CLOSING"};
    return state < sizeof names / sizeof names[0] && names[state] != NULL ? names[state] : "unknown";
}

/* The end of a connection: why, who was first, and what TCP said of it. */
static void complete_end(struct event *event)
{
    static const char *const firsts[] = {[FIRST_UNKNOWN] = NULL, [FIRST_PEER] = "peer", [FIRST_PROGRAM] = "program"};
    const struct recvshim_record *record = &event->record;
    bool disconnect = record->event == RECVSHIM_EVENT_DISCONNECT;
    event->cause = disconnect ? cause_names[cause_of(record)] : NULL;
    event->first = disconnect || record->event == RECVSHIM_EVENT_CLOSE ? firsts[first_of(record)] : NULL;
    event->tcp_state = (record->result_flags & RECVSHIM_RESULT_TCP) != 0 ? tcp_state_name(record->tcp.state) : NULL;
}

#define PROCESS_EVENTS (1U << RECVSHIM_EVENT_START | 1U << RECVSHIM_EVENT_EXIT)
#define LIFE_EVENTS    (1U << RECVSHIM_EVENT_CONNECT | 1U << RECVSHIM_EVENT_ACCEPT | 1U << RECVSHIM_EVENT_CLOSE)

static bool is_in(uint32_t set, uint8_t event)
{
    return event < 32 && (set >> event & 1) != 0;
}

static void complete_kind(struct event *event)
{
    const struct recvshim_record *record = &event->record;
    event->event = record->event < RECVSHIM_EVENTS ? event_names[record->event] : "unknown";
    event->call = call_name(record->call);
    event->is_process = is_in(PROCESS_EVENTS, record->event);
    event->is_fault = record->event == RECVSHIM_EVENT_FAULT;
    /* An event of a number unknown here is a receive if a call made it. */
    event->is_call = record->call != RECVSHIM_CALL_NONE && !is_in(PROCESS_EVENTS | LIFE_EVENTS, record->event);
    event->is_receive = event->is_call && !event->is_fault;
    event->size = event->is_receive ? size_of_receive(record) : 0;
    event->interruption = interruption_of(record);
}

/* A fault's own facts lie where other events have theirs. */
static void take_fault(struct event *event)
{
    struct recvshim_record *record = &event->record;
    event->fault = injection_of(record);
    record->retries = 0;
    record->result_flags &= RECVSHIM_RESULT_PEER;
}

void event_complete(struct event_maker *maker, struct event *event)
{
    const struct recvshim_record *record = &event->record;
    if (record->event == RECVSHIM_EVENT_FAULT)
        take_fault(event);
    const struct process *process = process_find(maker->processes, record->pid, record->time);
    event->realtime = recvshim_realtime(&maker->trace->header, record->time);
    event->comm = process != NULL ? process->comm : NULL;
    event->parent = process != NULL ? process->parent : 0;
    event->error = record->error != 0 ? error_name(record->error) : NULL;
    event->socket = socket_name(record->socket_type);
    complete_kind(event);
    complete_end(event);
    complete_addresses(maker, event);
}

const char *error_name(int error)
{
    static char number[24];
    const char *name = error_name_of(error);
    if (name != NULL)
        return name;
    snprintf(number, sizeof number, "errno %d", error);
    return number;
}

static const char *const flag_names[32] = {
    [0] = "MSG_OOB",           [1] = "MSG_PEEK",      [2] = "MSG_DONTROUTE", [3] = "MSG_CTRUNC",
    [4] = "MSG_PROXY",         [5] = "MSG_TRUNC",     [6] = "MSG_DONTWAIT",  [7] = "MSG_EOR",
    [8] = "MSG_WAITALL",       [9] = "MSG_FIN",       [10] = "MSG_SYN",      [11] = "MSG_CONFIRM",
    [12] = "MSG_RST",          [13] = "MSG_ERRQUEUE", [14] = "MSG_NOSIGNAL", [15] = "MSG_MORE",
    [16] = "MSG_WAITFORONE",   [18] = "MSG_BATCH",    [26] = "MSG_ZEROCOPY", [29] = "MSG_FASTOPEN",
    [30] = "MSG_CMSG_CLOEXEC",
};

void flags_for_each(uint32_t flags, void (*each)(void *context, const char *name), void *context)
{
    uint32_t nameless = 0;
    for (uint32_t rest = flags; rest != 0; rest &= rest - 1) {
        int bit = __builtin_ctz(rest);
        if (flag_names[bit] != NULL)
            each(context, flag_names[bit]);
        else
            nameless |= UINT32_C(1) << bit;
    }
    if (nameless != 0) {
        char number[16];
        snprintf(number, sizeof number, "0x%x", nameless);
        each(context, number);
    }
}
