#include "event.h"

#include "trace/names.h"

#include <arpa/inet.h>
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
static const struct address_text *address_text(struct event_maker *maker, const struct recvshim_record *record)
{
    uint8_t address[16] = {0};
    memcpy(address, record->address, record->family == AF_INET ? 4 : 16);
    uint32_t hash = 0;
    for (size_t i = 0; i < sizeof address; i += 4)
        hash = (hash ^ first_word(address + i)) * UINT32_C(0x9e3779b1);
    struct address_text *text = &maker->addresses[hash >> (32 - EVENT_ADDRESSES_LOG2)];
    if (text->length == 0 || text->family != record->family || memcmp(text->address, address, sizeof address) != 0) {
        text->family = record->family;
        memcpy(text->address, address, sizeof address);
        inet_ntop(record->family, address, text->text, sizeof text->text);
        text->length = (uint8_t)strlen(text->text);
    }
    return text;
}

/* An abstract name begins with a zero byte, and is written with an @ in its place, as ss(8) does. */
static size_t unix_path(const struct trace *trace, const struct recvshim_record *record, char *text)
{
    size_t length = lookup_name(trace, first_word(record->address), text);
    if (length > 0 && text[0] == '\0')
        text[0] = '@';
    return length;
}

static void complete_peer(struct event_maker *maker, struct event *event)
{
    const struct recvshim_record *record = &event->record;
    event->family = NULL;
    event->address_length = 0;
    if ((record->result_flags & RECVSHIM_RESULT_PEER) == 0)
        return;
    if (record->family == AF_INET || record->family == AF_INET6) {
        const struct address_text *text = address_text(maker, record);
        event->family = record->family == AF_INET ? "inet" : "inet6";
        event->address_length = text->length;
        memcpy(event->address, text->text, text->length);
    } else if (record->family == AF_UNIX) {
        event->family = "unix";
        event->address_length = unix_path(maker->trace, record, event->address);
    }
}

void event_complete(struct event_maker *maker, struct event *event)
{
    const struct recvshim_record *record = &event->record;
    const struct recvshim_header *header = &maker->trace->header;
    const struct process *process = process_find(maker->processes, record->pid, record->time);
    event->realtime = recvshim_realtime(header, record->time);
    event->comm = process != NULL ? process->comm : NULL;
    event->event = record->event < RECVSHIM_EVENTS ? event_names[record->event] : "unknown";
    event->call = record->call < RECVSHIM_CALLS ? call_names[record->call] : "unknown";
    event->cause = record->event == RECVSHIM_EVENT_DISCONNECT ? cause_names[cause_of(record)] : NULL;
    event->error = record->error != 0 ? error_name(record->error) : NULL;
    event->size = size_of_receive(record);
    complete_peer(maker, event);
}

const char *error_name(int error)
{
    static char number[24];
    const char *name = strerrorname_np(error);
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
