/* What is told of totals: the connections with their ends, in the order that was asked for, and all that follows from
 * them. The formats print it. */
#ifndef REPORT_H
#define REPORT_H

#include "output.h"
#include "verdict.h"

enum report_key {
    REPORT_BYTES, /* the most first, as of the next two */
    REPORT_RECEIVES,
    REPORT_DURATION,
    REPORT_FIRST,      /* the earliest first */
    REPORT_LAST,       /* the latest first */
    REPORT_CONNECTION, /* in ascending order, as the rest */
    REPORT_PID,
    REPORT_PEER,
};
extern const char *const report_keys[]; /* their names; NULL last */

struct report_order {
    enum report_key key;
    bool reversed;
};

struct report {
    struct totals *totals;
    struct reader_account account;
    struct report_order order;
    bool written; /* somebody may still write the trace */
    bool hidden;  /* a filter leaves out what may be the end of a connection */
    size_t limit; /* rows of each table */
    bool colour;
    size_t width; /* columns of the terminal; 80 where there is none */

    /* From here on made by report_make(). */
    const void **connections; /* const struct connection *, in order, as many as the limit lets */
    size_t connections_shown;
    const void **processes; /* const struct process_sums *, by bytes */
    size_t processes_shown;
    const void **by_pid; /* const struct process_sums *, all of process_table, by pid and by time */
    const void **peers;  /* const struct peer_sums *, by bytes */
    size_t peers_shown;
    struct table peer_table, process_table, parents;
    bool all_parents_known;
    uint64_t disconnects[CAUSES];                   /* each connection's once, and those of untracked descriptors */
    uint64_t open, closed, exited, failed, unknown; /* connections, by their ends */
    uint64_t incomplete;
    struct histogram lifetimes; /* of connections that have ended, and are complete */
};

/* totals, account, order, written, hidden, limit are given. Sorts the interruptions of the totals. Returns false where
 * memory ran out. */
bool report_make(struct report *report);
void report_free(struct report *report);

struct ending report_ending(const struct report *report, const struct connection *connection);
bool report_complete(const struct report *report, const struct connection *connection);
/* Terminated; may hold any bytes. NULL where it is not known. */
const char *report_comm(const struct report *report, uint32_t pid, uint64_t time);
uint64_t report_realtime(const struct report *report, uint64_t time);

/* An address without its port, a unix path with an @ for each zero byte. Returns the length; at most 108, or
 * INET6_ADDRSTRLEN. Looks at the trace. */
#define REPORT_ADDRESS_MAX 128
size_t report_address(const struct report *report, const struct recvshim_address *address,
                      char text[REPORT_ADDRESS_MAX]);
/* The connection's own end: false where nothing is known but, perhaps, its port. */
bool connection_local(const struct connection *connection, struct recvshim_address *address);

void report_text(const struct report *report, struct output *output);
void report_json(const struct report *report, struct output *output);
void report_prometheus(const struct report *report, struct output *output);

#endif
