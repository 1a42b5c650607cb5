#include "filter.h"

#include "moment.h"
#include "trace/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void filter_init(struct filter *filter, uint64_t now)
{
    *filter = (struct filter){.now = now, .events = UINT32_MAX, .calls = UINT32_MAX, .until = UINT64_MAX};
}

/* A list of numbers up to `max`, separated by commas. */
static bool parse_numbers(const char *value, uint64_t max, struct filter_numbers *numbers)
{
    numbers->count = 0;
    for (const char *at = value;;) {
        char *end;
        if (*at < '0' || *at > '9' || numbers->count == FILTER_NUMBERS_MAX)
            return false;
        errno = 0;
        unsigned long long number = strtoull(at, &end, 10);
        if (errno != 0 || number > max)
            return false;
        numbers->items[numbers->count++] = number;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        at = end + 1;
    }
}

static bool contains(const struct filter_numbers *numbers, uint64_t number)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->items[i] == number)
            return true;
    return numbers->count == 0;
}

static bool parse_event(struct filter *filter, const char *value)
{
    return names_parse_set(value, event_names, RECVSHIM_EVENTS, &filter->events);
}

static bool parse_call(struct filter *filter, const char *value)
{
    return names_parse_set(value, call_names, RECVSHIM_CALLS, &filter->calls);
}

static bool parse_pid(struct filter *filter, const char *value)
{
    return parse_numbers(value, UINT32_MAX, &filter->pids);
}

static bool parse_fd(struct filter *filter, const char *value)
{
    return parse_numbers(value, INT32_MAX, &filter->fds);
}

static bool parse_connection(struct filter *filter, const char *value)
{
    return parse_numbers(value, UINT64_MAX, &filter->connections);
}

static bool parse_peer(struct filter *filter, const char *value)
{
    filter->has_peer = peer_parse(&filter->peer, value);
    return filter->has_peer;
}

static bool parse_since(struct filter *filter, const char *value)
{
    return moment_parse(value, filter->now, &filter->since);
}

static bool parse_until(struct filter *filter, const char *value)
{
    return moment_parse(value, filter->now, &filter->until);
}

#define NAME_AND_COMMA(id, name, meaning) name ", "
#define CALL_AND_COMMA(id, name)          name ", "
#define NUMBERS                           "up to 64 numbers separated by commas"
#define MOMENT                            "HH:MM:SS, 2026-11-22T07:12:00Z, @SECONDS since 1970, or -5m before now"

const char *filter_parse(struct filter *filter, const char *name, const char *value)
{
    static const struct {
        const char *name;
        bool (*parse)(struct filter *filter, const char *value);
        const char *accepted;
    } table[] = {
        {"event", parse_event, "all, or a list of " RECVSHIM_EVENT_TABLE(NAME_AND_COMMA) "separated by commas"},
        {"call", parse_call, "all, or a list of " RECVSHIM_CALL_TABLE(CALL_AND_COMMA) "separated by commas"},
        {"pid", parse_pid, NUMBERS},
        {"fd", parse_fd, NUMBERS},
        {"connection", parse_connection, NUMBERS},
        {"peer", parse_peer, "an IPv4 or IPv6 ADDRESS[/BITS], or a unix socket's /path or @name"},
        {"since", parse_since, MOMENT},
        {"until", parse_until, MOMENT},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].parse(filter, value) ? NULL : table[i].accepted;
    return "no such filter";
}

bool filter_accepts_record(const struct filter *filter, const struct recvshim_record *record, uint64_t realtime)
{
    /* An event or call of a number unknown here is shown unless a list was asked for; so is an event that is no call.
     */
    bool event = record->event < 32 ? filter->events >> record->event & 1 : filter->events == UINT32_MAX;
    bool call = record->call < 32 ? filter->calls >> record->call & 1 : filter->calls == UINT32_MAX;
    return event && call && realtime >= filter->since && realtime <= filter->until &&
           contains(&filter->pids, record->pid) && contains(&filter->fds, (uint64_t)record->fd) &&
           contains(&filter->connections, record->connection);
}

uint64_t filter_connection(const struct filter *filter, const struct recvshim_record *record)
{
    uint64_t set = 0;
    for (size_t i = 0; i < filter->connections.count; i++)
        if (filter->connections.items[i] == record->connection)
            set |= UINT64_C(1) << i;
    return set;
}

bool filter_is_one_connection(const struct filter *filter)
{
    return filter->connections.count == 1 && filter->connections.items[0] != 0 && filter->events == UINT32_MAX &&
           filter->calls == UINT32_MAX && filter->pids.count == 0 && filter->fds.count == 0 && !filter->has_peer &&
           filter->since == 0 && filter->until == UINT64_MAX;
}

bool filter_hides_ends(const struct filter *filter)
{
    uint32_t ends = 1U << RECVSHIM_EVENT_DISCONNECT | 1U << RECVSHIM_EVENT_CLOSE | 1U << RECVSHIM_EVENT_CONNECT;
    return (filter->events & ends) != ends || filter->calls != UINT32_MAX || filter->pids.count != 0 ||
           filter->fds.count != 0 || filter->until != UINT64_MAX;
}

bool filter_accepts_peer(const struct filter *filter, const struct event *event)
{
    return !filter->has_peer || peer_matches(&filter->peer, event);
}
