/* Events on their way from a trace to an output: collected, put in order, filtered, printed. What `show` and `run` have
 * in common. */
#ifndef FEED_H
#define FEED_H

#include "event.h"
#include "filter.h"
#include "format.h"
#include "trace/read.h"

struct feed {
    struct trace *trace;
    struct reader reader;
    struct references waiting; /* collected and not printed yet */
    struct process_list processes;
    struct event_maker maker;
    struct printer printer;
    struct output output;
    struct filter filter;
    uint64_t repaired;                    /* when dead slots were last looked for, ns on CLOCK_MONOTONIC */
    uint64_t others;                      /* events read that are no receives */
    uint64_t connections;                 /* those of the filter that occurred: a set as filter_connection() gives it */
    struct against_intent against_intent; /* of all records, whatever the filter lets through */
    bool out_of_memory;
    bool cut_short; /* the trace was truncated: nothing more can be read */
    void (*progress)(void *context, uint64_t done, uint64_t total); /* NULL, or called now and then */
    void *progress_context;
    void (*observe)(void *context, const struct recvshim_record *record); /* NULL, or called for each of all records */
    void *observe_context;
};

/* Events of different shards come to the reader a little out of order; a live feed holds each back for this long,
 * unless the ring is about to be overrun. */
#define FEED_HOLD_NS UINT64_C(10000000)

/* All but filter, which lets everything through at first, progress and observe. */
void feed_init(struct feed *feed, struct trace *trace, enum reader_start start, int fd, const struct format *format);
void feed_free(struct feed *feed);

/* Print the format's beginning and end. */
void feed_begin(struct feed *feed);
void feed_end(struct feed *feed);

/* Print what has become whole; with `live`, hold back what is younger than FEED_HOLD_NS, and mark slots of dead writers
 * once a second. Returns false when no more can be printed: the output failed (output.error), memory ran out, or the
 * trace was cut short. */
bool feed_cycle(struct feed *feed, bool live);

/* How many events were lost; `written` as for reader_account(). */
uint64_t feed_lost(const struct feed *feed, bool written);

/* Say what was lost, if anything was: the trace is called `name`. */
void feed_report_losses(const struct feed *feed, const char *name, bool written);

/* Say which connections were asked for and have no event. Returns whether there were any. */
bool feed_report_missing(const struct feed *feed, const char *name);

#endif
