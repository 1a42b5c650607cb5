/* A trace as a file: making, opening and mapping one. The only code that opens or maps a trace, in the library and in
 * the command. It uses libc alone, allocates nothing, and leaves no descriptor behind where it was not asked to. */
#ifndef TRACE_FILE_H
#define TRACE_FILE_H

#include "recvshim/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct fault_rules;

/* What only the creator of a trace decides; those who join it live with it. */
struct trace_options {
    uint64_t size;   /* bytes for records, TRACE_SIZE_MIN to TRACE_SIZE_MAX; each shard gets a power of two of slots, so
                      * the room is this or down to half of it */
    uint32_t mode;   /* enum recvshim_mode */
    uint32_t events; /* set of events recorded at first */
    bool tracing;    /* recording starts switched on */
    bool seeded;     /* the seed is given here; else it is drawn at random */
    uint64_t seed;
    const struct fault_rules *faults; /* those that the creator has for itself: a reader is told, nobody else follows
                                       * them; NULL: none */
};
#define TRACE_SIZE_DEFAULT (UINT64_C(16) << 20)
#define TRACE_SIZE_MIN     (UINT64_C(16) << 10)
#define TRACE_SIZE_MAX     (UINT64_C(1) << 44)

enum trace_access {
    TRACE_RECORD,  /* a traced process: header and control read-only, own uid only, locked, no descriptor kept */
    TRACE_READ,    /* everything read-only */
    TRACE_REPAIR,  /* a reader that may also mark dead slots: mapped as by TRACE_RECORD */
    TRACE_CONTROL, /* everything may be written */
};

struct trace {
    struct recvshim_header header; /* a copy, checked: never read from the map again */
    struct recvshim_layout layout;
    enum trace_access access;
    int fd; /* kept open by all but TRACE_RECORD; else -1 */
    void *base;
    struct recvshim_control *control;
    struct recvshim_counters *counters;
    struct recvshim_rule_counters *rules;
    struct recvshim_cursor *cursors;
    struct recvshim_process *processes;
    struct recvshim_name *names;
    struct recvshim_slot *slots; /* slot S of shard H is slots[H * header.slots + S] */
};

/* Why something did not work: `what` is NULL on success, else a phrase that follows the file's name in a message;
 * `error` is the errno behind it, 0 where there is none. */
struct trace_error {
    const char *what;
    int error;
};

/* The seed that is given, or one at random. */
uint64_t trace_seed(const struct trace_options *options);

/* Turn an empty file into a trace: its room is allocated for good, so that a full file system is an error here and no
 * SIGBUS later. The file must not be reachable by others yet. */
struct trace_error trace_format(int fd, const struct trace_options *options);

/* Make a trace at a path where nothing is; it appears there complete, or not at all. `error` is EEXIST where something
 * came first. Mode 0600. */
struct trace_error trace_create(const char *path, const struct trace_options *options);

/* Map the trace that a descriptor leads to, and take the descriptor over (also on failure). */
struct trace_error trace_map(int fd, enum trace_access access, struct trace *trace);

/* Open and map the trace at a path. A symbolic link is refused, but for /proc/PID/fd/N, which must lead to memory
 * that is sealed against shrinking. */
struct trace_error trace_open(const char *path, enum trace_access access, struct trace *trace);

/* Map the trace at a path for recording; make it where nothing is. */
struct trace_error trace_join(const char *path, const struct trace_options *options, struct trace *trace);

/* Unmap and close. Never called in a traced process: threads may be recording. */
void trace_close(struct trace *trace);

/* Whether the path is a link of the form /proc/PID/fd/N. */
bool trace_path_is_memory(const char *path);

#endif
