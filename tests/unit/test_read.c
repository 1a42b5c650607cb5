/* Reading the ring: what is whole comes out once and in order; all else is counted. */
#include "fixture.h"
#include "trace/clock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

static void store(const struct trace *trace, uint32_t shard, uint64_t time, int64_t result)
{
    struct recvshim_record record = fixture_record(time, result);
    fixture_store(trace, shard, &record);
}

static struct reader_account check(const struct reader *reader, bool written)
{
    struct reader_account account = reader_account(reader, written);
    fixture_check_account(&account);
    return account;
}

static void expect(struct reader *reader, const int64_t *expected, size_t count)
{
    int64_t results[64];
    cr_assert_eq(fixture_read(reader, results, 64), count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(results[i], expected[i], "record %zu is %lld", i, (long long)results[i]);
}
#define EXPECT(reader, ...)                                                                                            \
    expect(reader, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

Test(read, merges_shards_by_time)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    store(&trace, 0, 40, 4);
    store(&trace, 0, 30, 3); /* interrupted between the clock and the cursor */
    store(&trace, 1, 20, 2);
    store(&trace, 1, 50, 5);
    EXPECT(&reader, 1, 2, 3, 4, 5);
    expect(&reader, NULL, 0);
    store(&trace, 1, 60, 6);
    EXPECT(&reader, 6);
    cr_assert_eq(check(&reader, false).delivered, 6);
    reader_free(&reader);
    trace_close(&trace);
}

Test(read, puts_unfinished_records_aside)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    struct recvshim_record first = fixture_record(10, 1), second = fixture_record(20, 2);
    uint64_t busy = fixture_position(&trace, 0), unclaimed = fixture_position(&trace, 0);
    cr_assert(fixture_claim(&trace, 0, busy, 42));
    fixture_fill(&trace, 0, busy, &first);
    store(&trace, 0, 30, 3);
    EXPECT(&reader, 3);
    cr_assert_eq(check(&reader, true).pending, 2);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.died, 2, "nobody writes: they never will be whole");

    fixture_finish(&trace, 0, busy, 42);
    EXPECT(&reader, 1);
    cr_assert(fixture_claim(&trace, 0, unclaimed, 42));
    fixture_fill(&trace, 0, unclaimed, &second);
    fixture_finish(&trace, 0, unclaimed, 42);
    EXPECT(&reader, 2);
    cr_assert_eq(check(&reader, false).delivered, 3);
    reader_free(&reader);
}

Test(read, rejects_a_record_whose_tail_disagrees)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    store(&trace, 0, 20, 2);
    atomic_store(&trace.slots[0].tail, recvshim_state_word(1, 42, RECVSHIM_STATE_BUSY));
    EXPECT(&reader, 2);
    cr_assert_eq(check(&reader, false).overwritten, 1);
    reader_free(&reader);
}

Test(read, counts_what_is_overrun_between_collect_and_fetch)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    struct references references = {0};
    struct recvshim_record record;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    cr_assert(reader_collect(&reader, &references));
    cr_assert_eq(references.count, 1);
    for (uint64_t i = 0; i < FIXTURE_SLOTS; i++)
        store(&trace, 0, 20 + i, 2);
    cr_assert_not(reader_fetch(&reader, references.items[0], &record));
    references.count = 0;
    cr_assert(reader_collect(&reader, &references));
    cr_assert_eq(references.count, FIXTURE_SLOTS);
    for (size_t i = 0; i < references.count; i++)
        cr_assert(reader_fetch(&reader, references.items[i], &record));
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.overwritten, 1);
    cr_assert_eq(account.delivered, FIXTURE_SLOTS);
    references_free(&references);
    reader_free(&reader);
}

Test(read, begins_a_lap_back_and_says_since_when)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    for (int64_t i = 0; i < 20; i++)
        store(&trace, 0, (uint64_t)i, i);
    store(&trace, 1, 2, 100);
    reader_init(&reader, &trace, READER_OLDEST);
    EXPECT(&reader, 100, 12, 13, 14, 15, 16, 17, 18, 19);
    cr_assert_eq(check(&reader, false).overwritten, 12);
    cr_assert_eq(reader.complete_since, 12);
    reader_free(&reader);
}

/* A record that is overrun after it was collected is missing as well. */
Test(read, says_since_when_after_an_overrun)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    struct references references = {0};
    struct recvshim_record record;
    reader_init(&reader, &trace, READER_OLDEST);
    for (int64_t i = 0; i < (int64_t)FIXTURE_SLOTS; i++)
        store(&trace, 0, 100 + (uint64_t)i, i);
    cr_assert(reader_collect(&reader, &references));
    store(&trace, 0, 200, 200);
    store(&trace, 0, 201, 201);
    for (size_t i = 0; i < references.count; i++)
        cr_assert_eq(reader_fetch(&reader, references.items[i], &record), i >= 2);
    cr_assert_eq(reader.complete_since, 102);
    references_free(&references);
    reader_free(&reader);
}

Test(read, stops_where_the_writers_stopped)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_STOP);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    for (int64_t i = 0; i < 20; i++)
        store(&trace, 0, (uint64_t)i, i);
    EXPECT(&reader, 0, 1, 2, 3, 4, 5, 6, 7);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.dropped, 12);
    cr_assert_eq(account.overwritten, 0);
    store(&trace, 0, 99, 99);
    expect(&reader, NULL, 0);
    cr_assert_eq(check(&reader, true).dropped, 13);
    reader_free(&reader);
}

Test(read, counts_drops_before_a_busy_slot)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), 42)); /* and never finished */
    for (int64_t i = 1; i < 20; i++)
        store(&trace, 0, (uint64_t)i, i);
    EXPECT(&reader, 12, 13, 14, 15, 17, 18, 19);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.dropped, 2, "positions 8 and 16 found slot 0 busy");
    cr_assert_eq(account.overwritten, 11);
    cr_assert_eq(account.died, 0);
    reader_free(&reader);
}

Test(read, counts_abandoned_slots_as_died)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 1, 1);
    atomic_store(&trace.slots[0].state, recvshim_state_word(0, 42, RECVSHIM_STATE_ABANDONED));
    expect(&reader, NULL, 0);
    struct reader_account account = check(&reader, true);
    cr_assert_eq(account.died, 1);
    cr_assert_eq(account.pending, 0);
    reader_free(&reader);
}

Test(read, can_begin_with_what_comes_next)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    for (int64_t i = 0; i < 20; i++)
        store(&trace, 0, (uint64_t)i, i);
    atomic_store(&trace.cursors[0].dropped, 3);
    reader_init(&reader, &trace, READER_NOW);
    expect(&reader, NULL, 0);
    store(&trace, 0, 30, 30);
    EXPECT(&reader, 30);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.cursor, 1);
    cr_assert_eq(account.dropped, 0);
    reader_free(&reader);
}

/* Any cursor must end in bounded time and memory. */
Test(read, survives_hostile_cursors, .timeout = 300)
{
    static const uint64_t cursors[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 58, (UINT64_C(1) << 43) + 5, 3, 0};
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    struct references references = {0};
    store(&trace, 0, 10, 1);
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        reader_init(&reader, &trace, READER_OLDEST);
        atomic_store(&trace.cursors[0].cursor, cursors[i]);
        atomic_store(&trace.cursors[0].dropped, UINT64_MAX);
        references.count = 0;
        cr_assert(reader_collect(&reader, &references));
        cr_assert_leq(references.count, FIXTURE_SLOTS);
        cr_assert_leq(reader.shards[0].aside_count, FIXTURE_SLOTS);
        cr_assert_eq(reader.damaged, cursors[i] > UINT64_C(1) << 43);
        check(&reader, false);
        atomic_store(&trace.cursors[0].cursor, 0);
        cr_assert(reader_collect(&reader, &references));
        cr_assert_eq(reader.damaged, cursors[i] != 0, "a cursor never goes back");
        check(&reader, true);
        reader_free(&reader);
    }
    references_free(&references);
}

/* Empty, and yet in a lap: no writer leaves it so. */
Test(read, takes_an_empty_slot_for_an_older_one)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    struct references references = {0};
    store(&trace, 0, 10, 1);
    atomic_store(&trace.slots[0].state, recvshim_state_word(0, 42, RECVSHIM_STATE_EMPTY));
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert(reader_collect(&reader, &references));
    cr_assert_eq(references.count, 0);
    cr_assert_eq(check(&reader, false).died, 1);
    reader_free(&reader);
    references_free(&references);
}

/* Where a shard has so many slots, a position has too few bits for as many laps as a slot could tell apart. */
Test(read, bounds_the_positions_of_a_large_shard)
{
    struct recvshim_header header = fixture_header();
    header.shards = 1;
    header.slots = UINT64_C(1) << 19;
    struct trace trace;
    struct reader reader;
    struct references references = {0};
    cr_assert_null(trace_map(fixture_file(&header, 0), TRACE_CONTROL, &trace).what);
    atomic_store(&trace.cursors[0].cursor, UINT64_C(1) << 58);
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert(reader_collect(&reader, &references));
    cr_assert(reader.damaged);
    reader_free(&reader);
    references_free(&references);
    trace_close(&trace);
}

/* A slot that stays busy must not make what is put aside grow with every lap. */
Test(read, bounds_what_is_put_aside)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    int64_t results[64];
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), 42));
    for (int64_t i = 1; i < 1000; i++) {
        store(&trace, 0, (uint64_t)i, i);
        fixture_read(&reader, results, 64);
    }
    cr_assert_leq(reader.shards[0].aside_count, 4);
    struct reader_account account = check(&reader, true);
    cr_assert_eq(account.delivered, 1000 - 1 - 124);
    cr_assert_eq(account.dropped, 124);
    cr_assert_eq(account.pending, 1);
    reader_free(&reader);
}

Test(read, sorts_anything)
{
    struct references references = {0};
    srandom(1);
    for (size_t count = 0; count < 300; count++) {
        references.items = reallocarray(references.items, count + 1, sizeof(struct reference));
        references.count = references.room = count;
        for (size_t i = 0; i < count; i++)
            references.items[i] = (struct reference){(uint64_t)random() % 50, i};
        cr_assert(references_sort(&references));
        for (size_t i = 1; i < count; i++) {
            struct reference left = references.items[i - 1], right = references.items[i];
            cr_assert(left.time < right.time || (left.time == right.time && left.place < right.place));
        }
    }
    references_free(&references);
}

#define WRITERS 3
static _Atomic bool stop_writing;

/* Every word of a record says the same, so that a torn one shows. */
static void *write_records(void *context)
{
    const struct trace *trace = context;
    for (uint64_t number = 1; !stop_writing; number++) {
        struct recvshim_record record;
        uint64_t words[RECVSHIM_PAYLOAD_WORDS];
        for (size_t i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
            words[i] = number;
        memcpy(&record, words, sizeof record);
        fixture_store(trace, (uint32_t)number % FIXTURE_SHARDS, &record);
    }
    return NULL;
}

Test(read, never_delivers_a_torn_record, .timeout = 300)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    struct references references = {0};
    pthread_t writers[WRITERS];
    reader_init(&reader, &trace, READER_OLDEST);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_create(&writers[i], NULL, write_records, &trace);
    /* Few are delivered where the writers leave the reader little of the CPUs. */
    const uint64_t end = clock_now() + 5 * NANOSECONDS_A_SECOND;
    while (reader.delivered < 1000 || (reader.delivered < 200000 && clock_now() < end)) {
        references.count = 0;
        cr_assert(reader_collect(&reader, &references));
        for (size_t i = 0; i < references.count; i++) {
            uint64_t words[RECVSHIM_PAYLOAD_WORDS];
            struct recvshim_record record;
            if (!reader_fetch(&reader, references.items[i], &record))
                continue;
            memcpy(words, &record, sizeof words);
            for (size_t j = 1; j < RECVSHIM_PAYLOAD_WORDS; j++)
                cr_assert_eq(words[j], words[0]);
        }
    }
    stop_writing = true;
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    references.count = 0;
    cr_assert(reader_collect(&reader, &references));
    struct reader_account account = check(&reader, false);
    uint64_t dropped = trace.cursors[0].dropped + trace.cursors[1].dropped;
    cr_assert_leq(account.dropped, dropped);
    cr_assert_eq(account.cursor, trace.cursors[0].cursor + trace.cursors[1].cursor);
    references_free(&references);
    reader_free(&reader);
}
