#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define POSITION_BITS 58
#define POSITION_MASK ((UINT64_C(1) << POSITION_BITS) - 1)
#define LAPS_MAX      ((UINT64_C(1) << 40) - 2) /* laps that a state word can tell apart */

_Static_assert(RECVSHIM_MAX_SHARDS <= 1U << (64 - POSITION_BITS), "a reference holds any shard");

enum standing {
    STANDING_WHOLE,
    STANDING_BUSY,      /* its owner is at it, or dead */
    STANDING_OLDER,     /* not claimed yet, or given up by its owner */
    STANDING_NEWER,     /* overrun by a later lap */
    STANDING_ABANDONED, /* its owner is known to be dead */
};

/* No honest trace comes near: 2^58 records are 900 years at ten million a second. */
static uint64_t position_limit(uint64_t slots)
{
    uint64_t limit;
    if (__builtin_mul_overflow(slots, LAPS_MAX, &limit) || limit > POSITION_MASK)
        limit = POSITION_MASK;
    return limit;
}

struct recvshim_slot *reader_slot(const struct trace *trace, uint32_t shard, uint64_t position)
{
    return &trace->slots[shard * trace->header.slots + (position & (trace->header.slots - 1))];
}

static enum standing standing_of(uint64_t word, uint64_t position, uint64_t slots)
{
    uint64_t laps = position / slots + 1;
    if (recvshim_laps_of(word) != laps)
        return recvshim_laps_of(word) > laps ? STANDING_NEWER : STANDING_OLDER;
    switch (recvshim_state_of(word)) {
    case RECVSHIM_STATE_DONE:
        return STANDING_WHOLE;
    case RECVSHIM_STATE_BUSY:
        return STANDING_BUSY;
    case RECVSHIM_STATE_ABANDONED:
        return STANDING_ABANDONED;
    case RECVSHIM_STATE_EMPTY:
        break;
    }
    return STANDING_OLDER; /* empty in a lap: no writer does that */
}

static enum standing look(const struct recvshim_slot *slot, uint64_t position, uint64_t slots, uint64_t *time)
{
    uint64_t word = atomic_load_explicit(&slot->state, memory_order_acquire);
    enum standing standing = standing_of(word, position, slots);
    if (standing == STANDING_WHOLE) {
        *time = atomic_load_explicit(&slot->payload[offsetof(struct recvshim_record, time) / sizeof(uint64_t)],
                                     memory_order_relaxed);
        /* As in copy_whole(). Without this the time could be a later lap's; the order of the output would suffer. */
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) != word)
            return STANDING_NEWER;
    }
    return standing;
}

/* Make room for one more item. */
static bool grow(void **items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t larger = *room == 0 ? 256 : *room * 2;
    void *moved = reallocarray(*items, larger, size);
    if (moved == NULL)
        return false;
    *items = moved;
    *room = larger;
    return true;
}

static bool add_reference(struct references *references, uint64_t time, uint32_t shard, uint64_t position)
{
    void *items = references->items;
    if (!grow(&items, references->count, &references->room, sizeof(struct reference)))
        return false;
    references->items = items;
    references->items[references->count++] = (struct reference){time, (uint64_t)shard << POSITION_BITS | position};
    return true;
}

static bool add_aside(struct reader_shard *shard, uint64_t position)
{
    void *items = shard->aside;
    if (!grow(&items, shard->aside_count, &shard->aside_room, sizeof(struct reader_aside)))
        return false;
    shard->aside = items;
    shard->aside[shard->aside_count++] = (struct reader_aside){position, shard->newest};
    return true;
}

/* The cursor, or the nearest that makes sense. Acquire: see say_hello() in the library. */
static uint64_t read_cursor(struct reader *reader, uint32_t number)
{
    uint64_t cursor = atomic_load_explicit(&reader->trace->cursors[number].cursor, memory_order_acquire);
    uint64_t limit = position_limit(reader->trace->header.slots);
    uint64_t seen = reader->shards[number].cursor;
    if (cursor <= limit && cursor >= seen)
        return cursor;
    reader->damaged = true;
    return cursor > limit ? limit : seen;
}

/* Positions that have a slot: with `stop`, those of the first lap alone. */
static uint64_t last_position(const struct trace *trace, uint64_t cursor)
{
    uint64_t slots = trace->header.slots;
    return trace->header.mode == RECVSHIM_MODE_STOP && cursor > slots ? slots : cursor;
}

void reader_init(struct reader *reader, const struct trace *trace, enum reader_start start)
{
    *reader = (struct reader){.trace = trace};
    for (uint32_t i = 0; i < trace->header.shards; i++)
        reader->shards[i].holes_since = UINT64_MAX;
    if (start == READER_OLDEST)
        return;
    for (uint32_t i = 0; i < trace->header.shards; i++) {
        struct reader_shard *shard = &reader->shards[i];
        shard->dropped_before = atomic_load_explicit(&trace->cursors[i].dropped, memory_order_relaxed);
        shard->cursor = read_cursor(reader, i);
        shard->start = shard->cursor;
        shard->next = last_position(trace, shard->cursor);
    }
}

void reader_free(struct reader *reader)
{
    for (size_t i = 0; i < RECVSHIM_MAX_SHARDS; i++)
        free(reader->shards[i].aside);
}

void references_free(struct references *references)
{
    free(references->items);
    *references = (struct references){0};
}

/* Tells of a slot that is not whole how it stood when it was looked at, once: it may have become whole since.
 *
 * Acquire: the record of that lap is there, or a newer one. The fence: where any word is of a newer lap, the state is
 * by now, too (recorder_store(), 4). */
static enum standing copy_whole(const struct recvshim_slot *slot, uint64_t position, uint64_t slots,
                                struct recvshim_record *record)
{
    uint64_t word = atomic_load_explicit(&slot->state, memory_order_acquire);
    enum standing standing = standing_of(word, position, slots);
    if (standing != STANDING_WHOLE)
        return standing;
    uint64_t words[RECVSHIM_PAYLOAD_WORDS];
    for (size_t i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
        words[i] = atomic_load_explicit(&slot->payload[i], memory_order_relaxed);
    uint64_t claim = atomic_load_explicit(&slot->tail, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&slot->state, memory_order_relaxed) != word)
        return STANDING_NEWER;
    /* In a ring the tail differs only where the slot is being claimed anew; in a copy of one (cp) only this tells a
     * torn record. */
    if (claim >> 2 != word >> 2)
        return STANDING_NEWER;
    memcpy(record, words, sizeof *record);
    return STANDING_WHOLE;
}

/* A walk over what is new. `take` does with a slot whatever the walk is for, notes or a copy, and tells how the slot
 * stands; of one that is whole also when it was recorded. */
struct walk {
    struct reader *reader;
    uint32_t number; /* of the shard */
    enum standing (*take)(struct walk *walk, uint64_t position, uint64_t *time);
    bool out_of_memory;
    struct references *references; /* of a collection */
    reader_visit *visit;           /* of a scan */
    void *context;
};

static enum standing note(struct walk *walk, uint64_t position, uint64_t *time)
{
    const struct trace *trace = walk->reader->trace;
    enum standing standing = look(reader_slot(trace, walk->number, position), position, trace->header.slots, time);
    if (standing == STANDING_WHOLE)
        walk->out_of_memory = !add_reference(walk->references, *time, walk->number, position);
    return standing;
}

static enum standing hand_over(struct walk *walk, uint64_t position, uint64_t *time)
{
    const struct trace *trace = walk->reader->trace;
    const struct recvshim_slot *slot = reader_slot(trace, walk->number, position);
    struct recvshim_record record;
    enum standing standing = copy_whole(slot, position, trace->header.slots, &record);
    if (standing != STANDING_WHOLE)
        return standing;
    *time = record.time;
    walk->reader->delivered++;
    walk->visit(walk->context, &record);
    return STANDING_WHOLE;
}

/* A record that was put aside, or might have been, is lost. */
static void note_hole(struct reader_shard *shard, uint64_t after)
{
    if (after < shard->holes_since)
        shard->holes_since = after;
}

/* Look again at the positions put aside. */
static void walk_aside(struct walk *walk)
{
    struct reader_shard *shard = &walk->reader->shards[walk->number];
    uint64_t slots = walk->reader->trace->header.slots, time;
    size_t kept = 0;
    for (size_t i = 0; i < shard->aside_count; i++) {
        struct reader_aside aside = shard->aside[i];
        enum standing standing = STANDING_BUSY; /* as if: once memory has run out, all are kept */
        if (!walk->out_of_memory)
            standing = walk->take(walk, aside.position, &time);
        if (standing == STANDING_WHOLE && !walk->out_of_memory)
            continue;
        bool waits = standing == STANDING_BUSY ||
                     /* An unclaimed one two laps back was given up: whoever came after it would have taken its slot. */
                     (standing == STANDING_OLDER && shard->cursor - aside.position <= 2 * slots);
        if (waits || standing == STANDING_WHOLE)
            shard->aside[kept++] = aside;
        else
            note_hole(shard, aside.after);
        shard->died += standing == STANDING_ABANDONED;
    }
    shard->aside_count = kept;
}

static bool walk_shard(struct walk *walk)
{
    struct reader *reader = walk->reader;
    struct reader_shard *shard = &reader->shards[walk->number];
    uint64_t slots = reader->trace->header.slots, time;
    walk_aside(walk);
    if (walk->out_of_memory)
        return false;

    uint64_t last = last_position(reader->trace, shard->cursor);
    if (last - shard->next > slots) {
        shard->next = last - slots;
        shard->lapped = true;
    }
    for (; shard->next < last; shard->next++) {
        switch (walk->take(walk, shard->next, &time)) {
        case STANDING_WHOLE:
            if (walk->out_of_memory)
                return false;
            if (shard->lapped && time > reader->complete_since)
                reader->complete_since = time;
            shard->lapped = false;
            shard->newest = time;
            break;
        case STANDING_BUSY:
        case STANDING_OLDER:
            if (!add_aside(shard, shard->next))
                return false;
            break;
        case STANDING_ABANDONED:
            shard->died++;
            note_hole(shard, shard->newest);
            break;
        case STANDING_NEWER: /* lost, which the account tells by what was not delivered */
            shard->lapped = true;
            break;
        }
    }
    return true;
}

static bool walk_all(struct walk *walk)
{
    for (walk->number = 0; walk->number < walk->reader->trace->header.shards; walk->number++)
        if (!walk_shard(walk))
            return false;
    return true;
}

void reader_mark(struct reader *reader)
{
    for (uint32_t i = 0; i < reader->trace->header.shards; i++)
        reader->shards[i].cursor = read_cursor(reader, i);
}

bool reader_collect(struct reader *reader, struct references *references)
{
    reader_mark(reader);
    return walk_all(&(struct walk){.reader = reader, .take = note, .references = references});
}

bool reader_scan(struct reader *reader, reader_visit *visit, void *context)
{
    return walk_all(&(struct walk){.reader = reader, .take = hand_over, .visit = visit, .context = context});
}

bool reader_fetch(struct reader *reader, struct reference reference, struct recvshim_record *record)
{
    uint64_t position = reference.place & POSITION_MASK;
    const struct recvshim_slot *slot =
        reader_slot(reader->trace, (uint32_t)(reference.place >> POSITION_BITS), position);
    if (copy_whole(slot, position, reader->trace->header.slots, record) == STANDING_WHOLE) {
        reader->delivered++;
        return true;
    }
    if (reference.time >= reader->complete_since)
        reader->complete_since = reference.time + (reference.time != UINT64_MAX); /* a time may say anything */
    return false;
}

/* Whether the records beyond the room of a shard were dropped. */
static bool is_full(const struct reader *reader, const struct reader_shard *shard)
{
    return last_position(reader->trace, shard->cursor) != shard->cursor;
}

/* The times of the lost, see struct reader_account. */
static void date_losses(const struct reader *reader, struct reader_account *account)
{
    account->complete_since = reader->complete_since;
    account->gaps_since = UINT64_MAX;
    if (account->overwritten + account->dropped + account->died == 0) {
        account->complete_since = 0;
        return;
    }
    for (uint32_t i = 0; i < reader->trace->header.shards; i++) {
        const struct reader_shard *shard = &reader->shards[i];
        uint64_t since = shard->holes_since;
        if (is_full(reader, shard) && shard->newest < since)
            since = shard->newest;
        /* Who waits may be who was dropped. */
        for (size_t j = 0; j < shard->aside_count && account->dropped + account->died > 0; j++)
            since = shard->aside[j].after < since ? shard->aside[j].after : since;
        if (since < account->gaps_since)
            account->gaps_since = since;
        if (shard->lapped)
            account->complete_since = UINT64_MAX; /* and nothing after it tells since when */
    }
}

struct reader_account reader_account(const struct reader *reader, bool written)
{
    const struct trace *trace = reader->trace;
    struct reader_account account = {.delivered = reader->delivered};
    uint64_t dropped = 0, unclaimed = 0, busy = 0;
    for (uint32_t i = 0; i < trace->header.shards; i++) {
        const struct reader_shard *shard = &reader->shards[i];
        account.cursor += shard->cursor - shard->start;
        account.died += shard->died;
        uint64_t given_up =
            atomic_load_explicit(&trace->cursors[i].dropped, memory_order_relaxed) - shard->dropped_before;
        /* No more can have been dropped than were given out; a trace may say anything. */
        dropped += given_up < shard->cursor - shard->start ? given_up : shard->cursor - shard->start;
        for (size_t j = 0; j < shard->aside_count; j++) {
            uint64_t time, position = shard->aside[j].position;
            if (look(reader_slot(trace, i, position), position, trace->header.slots, &time) == STANDING_BUSY)
                busy++;
            else
                unclaimed++;
        }
    }

    /* What was not delivered is shared out, the certain first, and never more than there is. */
    uint64_t rest = account.cursor - account.delivered;
    account.died = account.died < rest ? account.died : rest;
    rest -= account.died;
    uint64_t *waiting = written ? &account.pending : &account.died;
    uint64_t taken = busy < rest ? busy : rest;
    *waiting += taken;
    rest -= taken;
    account.dropped = dropped < rest ? dropped : rest;
    rest -= account.dropped;
    /* Those that were put aside as unclaimed may be the very ones that were dropped. */
    if (trace->header.mode == RECVSHIM_MODE_STOP)
        taken = rest; /* nothing is ever overwritten */
    else if (unclaimed > account.dropped)
        taken = unclaimed - account.dropped < rest ? unclaimed - account.dropped : rest;
    else
        taken = 0;
    *waiting += taken;
    account.overwritten = rest - taken;
    date_losses(reader, &account);
    return account;
}

bool trace_is_written(const struct trace *trace)
{
    if (flock(trace->fd, LOCK_EX | LOCK_NB) != 0)
        return true;
    flock(trace->fd, LOCK_UN);
    return false;
}
