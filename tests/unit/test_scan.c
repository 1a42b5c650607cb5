/* The scan of a ring: the same records as by collecting, the same account, and when what is missing was made. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int64_t results[64];
static size_t count;

static void take(void *context, const struct recvshim_record *record)
{
    (void)context;
    cr_assert_lt(count, 64);
    results[count++] = record->result;
}

static void store(const struct trace *trace, uint32_t shard, uint64_t time, int64_t result)
{
    struct recvshim_record record = fixture_record(time, result);
    fixture_store(trace, shard, &record);
}

static size_t scan(struct reader *reader)
{
    count = 0;
    reader_mark(reader);
    cr_assert(reader_scan(reader, take, NULL));
    return count;
}

static struct reader_account check(const struct reader *reader, bool written)
{
    struct reader_account account = reader_account(reader, written);
    fixture_check_account(&account);
    return account;
}

Test(scan, gives_each_record_once)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    store(&trace, 1, 5, 2);
    store(&trace, 0, 20, 3);
    cr_assert_eq(scan(&reader), 3);
    cr_assert(results[0] == 1 && results[1] == 3 && results[2] == 2, "shard by shard");
    cr_assert_eq(scan(&reader), 0);
    store(&trace, 0, 30, 4);
    cr_assert_eq(scan(&reader), 1);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.delivered, 4);
    cr_assert_eq(account.complete_since, 0);
    cr_assert_eq(account.gaps_since, UINT64_MAX);
    reader_free(&reader);
}

Test(scan, goes_no_further_than_the_mark)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    reader_mark(&reader);
    store(&trace, 0, 20, 2);
    count = 0;
    cr_assert(reader_scan(&reader, take, NULL));
    cr_assert_eq(count, 1);
    cr_assert_eq(scan(&reader), 1);
    reader_free(&reader);
}

Test(scan, waits_for_no_record)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    struct recvshim_record late = fixture_record(15, 2);
    store(&trace, 0, 10, 1);
    uint64_t position = fixture_position(&trace, 0);
    cr_assert(fixture_claim(&trace, 0, position, 42));
    store(&trace, 0, 20, 3);
    cr_assert_eq(scan(&reader), 2);
    struct reader_account account = check(&reader, true);
    cr_assert_eq(account.pending, 1);
    cr_assert_eq(account.gaps_since, UINT64_MAX, "it may still come");
    account = check(&reader, false);
    cr_assert_eq(account.died, 1);
    cr_assert_eq(account.gaps_since, 10, "after the record before it");
    fixture_fill(&trace, 0, position, &late);
    fixture_finish(&trace, 0, position, 42);
    cr_assert_eq(scan(&reader), 1);
    cr_assert_eq(results[0], 2);
    cr_assert_eq(check(&reader, false).gaps_since, UINT64_MAX);
    reader_free(&reader);
}

Test(scan, tells_when_overwriting_ended)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    for (int64_t i = 0; i < 20; i++)
        store(&trace, 0, (uint64_t)i, i);
    store(&trace, 1, 2, 100);
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert_eq(scan(&reader), 9);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.overwritten, 12);
    cr_assert_eq(account.complete_since, 12);
    cr_assert_eq(account.gaps_since, UINT64_MAX);
    reader_free(&reader);
}

Test(scan, tells_since_when_records_were_dropped)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_STOP);
    struct reader reader;
    for (int64_t i = 0; i < 20; i++)
        store(&trace, 0, 100 + (uint64_t)i, i);
    store(&trace, 1, 500, 1);
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert_eq(scan(&reader), 9);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.dropped, 12);
    cr_assert_eq(account.gaps_since, 107, "the newest of the shard that is full");
    cr_assert_eq(account.complete_since, 0);
    reader_free(&reader);
}

Test(scan, tells_since_when_records_died)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    store(&trace, 0, 10, 1);
    store(&trace, 0, 20, 2);
    store(&trace, 0, 30, 3);
    atomic_store(&trace.slots[1].state, recvshim_state_word(0, 42, RECVSHIM_STATE_ABANDONED));
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert_eq(scan(&reader), 2);
    struct reader_account account = check(&reader, true);
    cr_assert_eq(account.died, 1);
    cr_assert_eq(account.gaps_since, 10);
    reader_free(&reader);
}

/* A slot that its writer gave up is found so two laps later: what was lost there stays lost. */
Test(scan, remembers_a_gap)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    reader_init(&reader, &trace, READER_OLDEST);
    store(&trace, 0, 10, 1);
    cr_assert_eq(scan(&reader), 1);
    fixture_position(&trace, 0); /* and never claimed */
    atomic_fetch_add(&trace.cursors[0].dropped, 1);
    for (uint64_t i = 0; i < 3 * (uint64_t)FIXTURE_SLOTS; i++) {
        store(&trace, 0, 20 + i, 2);
        cr_assert_eq(scan(&reader), 1);
    }
    cr_assert_eq(reader.shards[0].aside_count, 0);
    struct reader_account account = check(&reader, true);
    cr_assert_eq(account.dropped, 1);
    cr_assert_eq(account.gaps_since, 10);
    reader_free(&reader);
}

Test(scan, proves_nothing_where_a_shard_ends_with_a_loss)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct reader reader;
    store(&trace, 0, 10, 1);
    store(&trace, 0, UINT64_MAX, 2);
    atomic_store(&trace.slots[1].tail, recvshim_state_word(1, 42, RECVSHIM_STATE_BUSY)); /* torn, as by cp */
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert_eq(scan(&reader), 1);
    struct reader_account account = check(&reader, false);
    cr_assert_eq(account.overwritten, 1);
    cr_assert_eq(account.complete_since, UINT64_MAX);
    store(&trace, 0, 30, 3);
    cr_assert_eq(scan(&reader), 1);
    cr_assert_eq(check(&reader, false).complete_since, 30);
    reader_free(&reader);
}

/* Whatever a trace holds, both ways through it come to the same end. */
Test(scan, agrees_with_collecting, .timeout = 300)
{
    srandom(2);
    for (int round = 0; round < 300; round++) {
        struct trace trace = fixture_trace(round % 2 == 0 ? RECVSHIM_MODE_OVERWRITE : RECVSHIM_MODE_STOP);
        struct reader scanner, collector;
        reader_init(&scanner, &trace, READER_OLDEST);
        reader_init(&collector, &trace, READER_OLDEST);
        for (uint64_t step = 0; step < 60; step++) {
            struct recvshim_record record = fixture_record(step, (int64_t)step);
            uint32_t shard = (uint32_t)random() % FIXTURE_SHARDS;
            int kind = (int)(random() % 10);
            uint64_t position = fixture_position(&trace, shard);
            if (kind < 9 && fixture_claim(&trace, shard, position, 42) && kind < 8) {
                fixture_fill(&trace, shard, position, &record);
                fixture_finish(&trace, shard, position, 42);
            }
            if (random() % 10 != 0)
                continue;
            int64_t collected[64];
            int64_t sum = 0;
            size_t found = fixture_read(&collector, collected, 64);
            cr_assert_eq(scan(&scanner), found);
            for (size_t i = 0; i < found; i++)
                sum += collected[i] - results[i];
            cr_assert_eq(sum, 0);
            struct reader_account left = check(&scanner, true), right = check(&collector, true);
            cr_assert_eq(left.overwritten, right.overwritten);
            cr_assert_eq(left.dropped, right.dropped);
            cr_assert_eq(left.complete_since, right.complete_since);
            cr_assert_eq(left.gaps_since, right.gaps_since);
        }
        reader_free(&scanner);
        reader_free(&collector);
        trace_close(&trace);
    }
}
