/* What the records of a trace add up to: by connection, by process, by peer, and over all. Records may come in any
 * order: first and last are the smallest and the largest time, not what came first and last. Memory is constant but for
 * the connections themselves. */
#ifndef TOTALS_H
#define TOTALS_H

#include "histogram.h"
#include "injection.h"
#include "interruption.h"
#include "table.h"
#include "trace/cause.h"
#include "trace/lookup.h"

#define TOTALS_PEERS_MAX     65536 /* of sockets with several */
#define TOTALS_PROCESSES_MAX 65536
#define TOTALS_AHEAD         UINT64_C(16) /* records that are waited for a connection's slot, and as many for itself */
#define TOTALS_ERRORS        4096         /* errnos; the kernel's end at 4095 */

/* A receive is one that took something from the socket: neither MSG_PEEK nor MSG_ERRQUEUE. */
struct sums {
    uint64_t connections; /* filled in by a report, as are the disconnects of these */
    uint64_t receives;
    uint64_t bytes;
    uint64_t errors; /* of receives and of connects; an end is no error */
    uint64_t retries;
    uint64_t disconnects[CAUSES];
};

/* What is known of a connection. */
enum {
    CONNECTION_PEER = 1,
    CONNECTION_PEERS = 2, /* several: it is a datagram socket that was never connected, or connected anew */
    CONNECTION_LOCAL = 4, /* its address; local_port has a meaning by itself */
    CONNECTION_TCP = 8,
    CONNECTION_OPENED = 16,   /* by accept, or connect of a stream: nothing can have been received before */
    CONNECTION_CONNECT = 32,  /* connect was called */
    CONNECTION_RECEIVED = 64, /* something */
    CONNECTION_ENDED = 128,   /* a disconnect */
    CONNECTION_CLOSED = 256,
    CONNECTION_PROCESSES = 512, /* several */
};

/* Two cache lines for what every receive looks at, and one for the rest. */
struct connection {
    alignas(64) struct table_key key; /* its id, 0, 0 */
    uint64_t receives, bytes, retries;
    uint64_t first, last;
    uint64_t received; /* the last time that something arrived, looked at or taken */
    struct recvshim_address peer;
    uint32_t pid;   /* of its last receive or, without one, of its first event */
    uint16_t known; /* CONNECTION_* */
    uint16_t local_family, local_port;
    uint16_t connect_error; /* errno of the last connect */
    uint8_t peer_rank;      /* how good the source of `peer` is */
    uint8_t cause;          /* enum cause, of the first disconnect */
    uint8_t ended_first;    /* enum first, of the first disconnect */
    uint8_t closed_first;   /* enum first, of the last close */
    uint64_t errors;
    alignas(64) uint64_t opened; /* the first time that it was */
    uint64_t connected;          /* the last connect */
    uint64_t ended;              /* the first disconnect */
    uint64_t closed;             /* the last close */
    uint64_t tcp_time;           /* of `tcp`: the last that there is */
    struct recvshim_tcp tcp;
    uint8_t local_address[16];
};

static inline uint64_t connection_number(const struct connection *connection)
{
    return connection->key.words[0];
}

struct process_sums {
    struct table_key key; /* pid; start, 0 where it never said hello; 0 */
    struct sums sums;
    bool exited;
};

struct peer_sums {
    struct recvshim_address address; /* the key; port 0 */
    struct sums sums;
};

struct totals {
    const struct trace *trace;
    struct process_list *processes_known;
    struct table connections;                 /* struct connection */
    struct table processes;                   /* struct process_sums */
    struct table peers;                       /* struct peer_sums: of sockets with several, as long as there is room */
    struct sums other_processes, other_peers; /* those beyond the tables' room */
    struct sums all;                          /* disconnects: of descriptors that are not tracked */
    uint64_t events[RECVSHIM_EVENTS + 1][RECVSHIM_CALLS + 1]; /* last: unknown; no call */
    uint64_t errors[TOTALS_ERRORS];                           /* the last: that errno or beyond */
    uint64_t injections[RECVSHIM_ACTIONS + 1];                /* of faults, by action; the last: unknown */
    uint64_t records, first, last;
    struct histogram sizes;     /* of receives, bytes */
    struct histogram durations; /* of receiving calls, ns, where they were measured */
    struct interruptions interruptions;
    struct against_intent against_intent;
    struct process_sums *last_process; /* NULL, or whose records come in a row */
    uint32_t last_pid;
    uint64_t last_from, last_until; /* its times, the second exclusive */
    uint64_t taken; /* records given to totals_add(); the last of them wait here until their memory has been fetched */
    struct waiting_record {
        struct recvshim_record record;
        uint64_t hash; /* of its connection */
    } waiting[2 * TOTALS_AHEAD];
    bool out_of_memory;
};

void totals_init(struct totals *totals, const struct trace *trace, struct process_list *processes);
void totals_free(struct totals *totals);
/* The list of processes has changed. */
void totals_forget_process(struct totals *totals);
/* The record is counted a little later: with a million connections its own is in no cache. */
void totals_add(struct totals *totals, const struct recvshim_record *record);
/* The last records are counted only now. */
void totals_flush(struct totals *totals);

/* A process's key in the table: NULL for one that never said hello. */
struct table_key process_key(const struct process *process, uint32_t pid);
/* When the connection's process was what it is shown as. */
uint64_t connection_process_time(const struct connection *connection);
/* A peer's key: its address without the port, with all that means nothing zero. */
struct table_key peer_key(const struct recvshim_address *address);
void sums_add(struct sums *sums, const struct sums *more);

#endif
