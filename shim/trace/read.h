/* Reading the ring of a trace, whole or while it is written. Every byte in it is taken as hostile.
 *
 * It goes in two steps, so that records come in time order and are still never printed torn: reader_collect() finds
 * what is new and notes just when and where; the notes are sorted; reader_fetch() then reads the record and proves it
 * whole. What was overrun in between is lost, and counted. Where the order is of no matter, reader_scan() does all of
 * it in one pass and keeps no notes.
 *
 * Not safe for threads: one reader belongs to one thread. */
#ifndef READ_H
#define READ_H

#include "trace_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a record stands, and when it was made. */
struct reference {
    uint64_t time;  /* of the record, on the trace's clock */
    uint64_t place; /* shard in the upper 6 bits, position in the lower 58 */
};
struct references {
    struct reference *items;
    size_t count, room;
};

/* A position looked at, but not whole yet. */
struct reader_aside {
    uint64_t position;
    uint64_t after; /* the time of the record before it */
};

struct reader_shard {
    uint64_t start;             /* the position at which this reader began */
    uint64_t next;              /* the first position not looked at yet */
    uint64_t cursor;            /* as last seen */
    uint64_t dropped_before;    /* dropped by the writers before the reader began */
    uint64_t died;              /* slots found abandoned */
    uint64_t newest;            /* the time of the last record that was whole, in the order of positions */
    uint64_t holes_since;       /* of the records that never will be whole, the earliest is of this time or later */
    bool lapped;                /* the records before `next` were overwritten */
    struct reader_aside *aside; /* at most two a slot, never waited for */
    size_t aside_count, aside_room;
};

struct reader {
    const struct trace *trace;
    uint64_t delivered;      /* records that reader_fetch() and reader_scan() have given */
    uint64_t complete_since; /* nothing is missing from this time on, as far as overwriting goes; 0: nothing at all */
    bool damaged;            /* a cursor made no sense */
    struct reader_shard shards[RECVSHIM_MAX_SHARDS];
};

enum reader_start {
    READER_OLDEST, /* everything that is still there */
    READER_NOW,    /* only what is recorded from now on */
};

/* What became of the positions given out since the reader began. Always
 * cursor = delivered + overwritten + dropped + died + pending. The sum of the lost is exact; where a position was both
 * dropped and lapped since, which of the two it counts as is the best estimate. */
struct reader_account {
    uint64_t cursor;
    uint64_t delivered;
    uint64_t overwritten;
    uint64_t dropped; /* given up by the writers themselves */
    uint64_t died;    /* their writers were killed before they were whole */
    uint64_t pending; /* still being written; 0 once nobody writes */
    /* When the lost records were made, but for writers that were stopped between reading the clock and taking their
     * position. Nothing is overwritten that is of complete_since or later; 0: nothing at all. Nothing was dropped or
     * died that is older than gaps_since; UINT64_MAX: nothing at all. */
    uint64_t complete_since, gaps_since;
};

/* The trace must outlive the reader. */
void reader_init(struct reader *reader, const struct trace *trace, enum reader_start start);
void reader_free(struct reader *reader);

/* Note how far the writers have come: the next reader_scan() goes up to there. A process is in the table of processes
 * before its first record is, so a table copied between the two has them all. */
void reader_mark(struct reader *reader);

/* Give `visit` each record that has become whole up to the mark, shard by shard, in the order of positions. The record
 * is a copy that is good until the next one. Bounded as reader_collect(), and without a note for each record. Returns
 * false where memory ran out. */
typedef void reader_visit(void *context, const struct recvshim_record *record);
bool reader_scan(struct reader *reader, reader_visit *visit, void *context);

/* Append a reference for each record that has become whole since the last time. The work and the memory are bounded by
 * the number of slots, whatever the trace says. Returns false where memory ran out. */
bool reader_collect(struct reader *reader, struct references *references);

/* Sort by time; equal times keep their order. Cheap where little is out of order. Returns false where memory ran out.
 */
bool references_sort(struct references *references);
void references_free(struct references *references);

/* Copy a record out. Returns false where it has been overrun meanwhile, or is torn. */
bool reader_fetch(struct reader *reader, struct reference reference, struct recvshim_record *record);

/* `written` tells whether somebody may still write: trace_is_written(), asked before the last reader_collect(). */
struct reader_account reader_account(const struct reader *reader, bool written);

/* Whether a process has the trace mapped for recording. Needs the trace's descriptor; where the file system knows no
 * locks, the answer is yes. */
bool trace_is_written(const struct trace *trace);

/* The slot of a position; the position may be any. */
struct recvshim_slot *reader_slot(const struct trace *trace, uint32_t shard, uint64_t position);

#endif
