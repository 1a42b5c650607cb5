/* Events on their way to the output: held back long enough to come in order, and no longer. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct feed feed;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static void store(const struct trace *trace, uint32_t shard, uint64_t time, int64_t result)
{
    struct recvshim_record record = fixture_record(time, result);
    fixture_store(trace, shard, &record);
}

/* The results printed so far, as "1 2 3 ". */
static const char *results(void)
{
    static char text[1 << 16], list[1 << 12];
    ssize_t length = pread(feed.output.fd, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    list[0] = '\0';
    for (const char *at = text; (at = strstr(at, "\"result\":")) != NULL; at++)
        strcat(strncat(list, at + 9, strcspn(at + 9, ",")), " ");
    return list;
}

Test(feed, holds_the_young_back)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    feed_init(&feed, &trace, READER_OLDEST, memfd_create("output", MFD_CLOEXEC), &format_json);
    uint64_t begin = now();
    store(&trace, 0, begin, 2);
    store(&trace, 0, begin - UINT64_C(1000000000), 1);
    store(&trace, 0, begin + UINT64_C(100000000000), 4); /* a lie, and not waited for */
    cr_assert(feed_cycle(&feed, true));
    if (now() - begin < FEED_HOLD_NS)
        cr_assert_str_eq(results(), "1 4 ");
    store(&trace, 1, begin - 1, 3); /* late, but in time */
    cr_assert(feed_cycle(&feed, false));
    if (now() - begin < FEED_HOLD_NS)
        cr_assert_str_eq(results(), "1 4 3 2 ");
    feed_free(&feed);
}

/* What was retried against the policy `intent` counts, printed or not. */
Test(feed, counts_what_a_filter_leaves_out)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    feed_init(&feed, &trace, READER_OLDEST, memfd_create("output", MFD_CLOEXEC), &format_json);
    struct recvshim_record record = fixture_record(now(), 1);
    fixture_store(&trace, 0, &record);
    record.retries = 1;
    record.result_flags = RECVSHIM_RESULT_INTENT;
    fixture_store(&trace, 0, &record);
    feed.filter.events = 1U << RECVSHIM_EVENT_ERROR;
    cr_assert(feed_cycle(&feed, false));
    cr_assert_str_eq(results(), "");
    cr_assert_eq(feed.against_intent.receives, 1);
    feed_free(&feed);
}

Test(feed, lets_the_old_go)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    feed_init(&feed, &trace, READER_OLDEST, memfd_create("output", MFD_CLOEXEC), &format_json);
    store(&trace, 0, now(), 1);
    usleep(2 * FEED_HOLD_NS / 1000);
    cr_assert(feed_cycle(&feed, true));
    cr_assert_str_eq(results(), "1 ");
    feed_free(&feed);
}

/* A ring that is half full of what waits is not left to overrun it. */
Test(feed, prefers_disorder_to_loss)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    feed_init(&feed, &trace, READER_OLDEST, memfd_create("output", MFD_CLOEXEC), &format_json);
    for (int64_t i = 0; i < 5; i++)
        store(&trace, 0, now(), i);
    cr_assert(feed_cycle(&feed, true));
    cr_assert_str_eq(results(), "0 1 2 3 4 ");
    feed_free(&feed);
}

/* Its pages can go at any look at the trace: here at the process table, while the list is copied again. */
Test(feed, survives_a_truncated_process_table)
{
    struct recvshim_header header = fixture_header();
    header.processes = 128;
    struct trace trace;
    cr_assert_null(trace_map(fixture_file(&header, 0), TRACE_CONTROL, &trace).what);
    fixture_process(&trace, 42, 0, "curl");
    feed_init(&feed, &trace, READER_OLDEST, memfd_create("output", MFD_CLOEXEC), &format_chrome);
    cr_assert(feed_cycle(&feed, true));
    cr_assert_eq(feed.processes.count, 1);
    atomic_fetch_add(&trace.counters->processes, 100);
    cr_assert_eq(ftruncate(trace.fd, (off_t)((trace.layout.processes + 4096) & ~UINT64_C(4095))), 0);
    cr_assert(!feed_cycle(&feed, true));
    cr_assert(feed.cut_short);
    cr_assert_eq(feed.processes.count, 0, "nothing refers to where the list was");
    feed_end(&feed);
    feed_free(&feed);
}

static _Atomic bool stop_writing;
static _Atomic uint64_t stored, shown;

/* Times of events: what the writer was kept from storing for too long, and what was printed out of order. */
struct times {
    uint64_t of[4096];
    size_t count;
};
static struct times late, disordered;

static void note(struct times *times, uint64_t time)
{
    if (times->count < sizeof times->of / sizeof times->of[0])
        times->of[times->count++] = time;
}

static bool noted(const struct times *times, uint64_t time)
{
    for (size_t i = 0; i < times->count; i++)
        if (times->of[i] == time)
            return true;
    return times->count == sizeof times->of / sizeof times->of[0];
}

static void *write_records(void *context)
{
    uint32_t shard = 0;
    for (uint64_t last = now(); !stop_writing;) {
        /* A million a second, and never so many that the feed has to choose between disorder and loss. */
        const bool full = stored - shown > 1U << 14;
        uint64_t time = now();
        if (time - last < 1000 || full)
            continue;
        store(context, shard, time, 1);
        stored++;
        if (now() - time > FEED_HOLD_NS / 2)
            note(&late, time);
        shard ^= 1U;
        last = time;
    }
    return NULL;
}

static uint64_t last_time;

static void check_order(struct printer *printer, const struct event *event)
{
    (void)printer;
    shown++;
    if (event->record.time < last_time)
        note(&disordered, event->record.time);
    else
        last_time = event->record.time;
}

/* One writer, but for what it was kept from for long: what comes while the feed collects is no exception. */
Test(feed, keeps_the_order_while_it_is_written, .timeout = 300)
{
    static const struct format format = {.name = "order", .event = check_order};
    struct recvshim_header header = fixture_header();
    header.slots = 1U << 16;
    struct trace trace;
    cr_assert_null(trace_map(fixture_file(&header, 0), TRACE_CONTROL, &trace).what);
    pthread_t writer;
    feed_init(&feed, &trace, READER_NOW, STDOUT_FILENO, &format);
    pthread_create(&writer, NULL, write_records, &trace);
    while (feed.printer.events < 50000) {
        usleep(5000); /* so that the second shard is looked at a while after the first */
        cr_assert(feed_cycle(&feed, true));
    }
    stop_writing = true;
    pthread_join(writer, NULL);
    for (size_t i = 0; i < disordered.count; i++)
        cr_assert(noted(&late, disordered.of[i]), "%zu events are out of order, of which %zu came late",
                  disordered.count, late.count);
    feed_free(&feed);
}
