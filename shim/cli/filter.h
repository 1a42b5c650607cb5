/* Which events are printed. Pure: the time that "now" means is given. */
#ifndef FILTER_H
#define FILTER_H

#include "event.h"
#include "peer.h"

#include <stdbool.h>
#include <stdint.h>

#define FILTER_NUMBERS_MAX 64 /* a set of them fits a word */

/* Numbers to choose from; none given: any. */
struct filter_numbers {
    size_t count;
    uint64_t items[FILTER_NUMBERS_MAX];
};

struct filter {
    uint64_t now;    /* nanoseconds since 1970 */
    uint32_t events; /* sets */
    uint32_t calls;
    struct filter_numbers pids, fds, connections;
    bool has_peer;
    struct peer_filter peer;
    uint64_t since, until; /* nanoseconds since 1970, both inclusive */
};

/* Let everything through. */
void filter_init(struct filter *filter, uint64_t now);

/* Narrow it down by an option's value: name is "event", "call", "pid", "fd", "connection", "peer", "since" or "until".
 * Returns NULL if the value was good, else a phrase that says what is accepted. */
const char *filter_parse(struct filter *filter, const char *name, const char *value);

/* What the record alone tells, before anything is looked up for it. */
bool filter_accepts_record(const struct filter *filter, const struct recvshim_record *record, uint64_t realtime);

/* A set with bit N for the Nth of the connections that were asked for, if the record is of that one. */
uint64_t filter_connection(const struct filter *filter, const struct recvshim_record *record);

/* Whether all events of one connection are asked for, and nothing else. */
bool filter_is_one_connection(const struct filter *filter);

/* Whether the end of a connection may be left out where other events of it are not. */
bool filter_hides_ends(const struct filter *filter);

/* The rest. */
bool filter_accepts_peer(const struct filter *filter, const struct event *event);

#endif
