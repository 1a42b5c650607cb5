/* Storing records in the trace: the only code that touches the ring's atomics. */
#ifndef RECORDER_H
#define RECORDER_H

#include "settings.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The control page of the trace, or one of zeros while there is none. */
extern _Atomic(const struct recvshim_control *) recorder_control;

/* Whether anything is recorded just now. One relaxed load behind the pointer; acquire on the pointer, so that whoever
 * sees a trace also sees what recorder_start() wrote about it. */
static inline bool recorder_tracing(void)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    return atomic_load_explicit(&control->tracing, memory_order_relaxed) != 0;
}

/* Whether this event is one of those recorded. */
static inline bool recorder_wants(enum recvshim_event event)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    return (atomic_load_explicit(&control->events, memory_order_relaxed) >> event & 1U) != 0;
}

/* Join the trace, or make it. For the constructor. */
struct trace_error recorder_start(const char *path, const struct trace_options *options);

/* What a record begins as: of no receive, with no descriptor. Copied from a constant, because GCC clears a structure
 * of this size with `rep stos`, which costs as much as the clock. */
extern const struct recvshim_record recorder_blank;

/* Fill in who wrote the record, and store it. Wait-free and safe in a signal handler that interrupted another store;
 * a record that finds no room is counted. Called after the call returned, so that one that was cancelled or jumped out
 * of holds nothing. */
void recorder_store(struct recvshim_record *record);

/* A new connection id, counted within the trace; 0 while there is none: what was made before gets its id with its first
 * record. */
uint64_t recorder_new_connection(void);

/* Without a trace connections get ids as well, for the process alone: its rules look at their peers. For the
 * constructor. */
void recorder_number_connections(void);

/* What the rules of fault injection count for all processes of the trace; NULL without one. */
struct recvshim_rule_counters *recorder_rules(void);

/* The trace's seed. The trace must be there. */
uint64_t recorder_seed(void);

/* A receive is about to go on waiting although one of these signals may have been meant to end it; and has ended. The
 * trace must be there. */
void recorder_overruled(uint64_t signals);
void recorder_overruled_ended(void);

/* The process is about to end with this status: once for each process, and only if it has recorded something. */
void recorder_exit(int status);

/* The index of a unix path in the trace, plus 1; 0 where there is no room for it, or no trace. */
uint32_t recorder_name(const char *path, size_t length);

#endif
