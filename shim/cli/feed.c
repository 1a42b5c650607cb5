#include "feed.h"

#include "guard.h"
#include "message.h"
#include "missing.h"
#include "trace/clock.h"
#include "trace/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void feed_init(struct feed *feed, struct trace *trace, enum reader_start start, int fd, const struct format *format)
{
    memset(feed, 0, sizeof *feed);
    feed->trace = trace;
    reader_init(&feed->reader, trace, start);
    event_maker_init(&feed->maker, trace, &feed->processes);
    output_init(&feed->output, fd);
    printer_init(&feed->printer, &feed->output, format, trace, &feed->processes);
    filter_init(&feed->filter, 0);
}

void feed_free(struct feed *feed)
{
    reader_free(&feed->reader);
    references_free(&feed->waiting);
    process_list_free(&feed->processes);
}

void feed_begin(struct feed *feed)
{
    if (feed->printer.format->begin != NULL)
        feed->printer.format->begin(&feed->printer);
}

void feed_end(struct feed *feed)
{
    if (feed->printer.format->end != NULL)
        feed->printer.format->end(&feed->printer);
    output_flush(&feed->output);
}

static void print_one(struct feed *feed, struct reference reference)
{
    const struct recvshim_header *header = &feed->trace->header;
    struct event event;
    if (!reader_fetch(&feed->reader, reference, &event.record))
        return; /* overrun; the account tells */
    feed->others += event.record.call == RECVSHIM_CALL_NONE;
    against_intent_add(&feed->against_intent, &event.record);
    if (feed->observe != NULL)
        feed->observe(feed->observe_context, &event.record);
    if (feed->filter.connections.count > 0)
        feed->connections |= filter_connection(&feed->filter, &event.record);
    if (!filter_accepts_record(&feed->filter, &event.record, recvshim_realtime(header, event.record.time)))
        return;
    event_complete(&feed->maker, &event);
    if (filter_accepts_peer(&feed->filter, &event))
        printer_event(&feed->printer, &event);
}

/* Print waiting[from] to waiting[to - 1]. */
static void print_range(struct feed *feed, size_t from, size_t to)
{
    for (size_t i = from; i < to && feed->output.error == 0; i++) {
        if (feed->progress != NULL && i % 8192 == 0)
            feed->progress(feed->progress_context, i, to);
        print_one(feed, feed->waiting.items[i]);
    }
}

/* The first of the waiting whose time is beyond the limit. */
static size_t first_beyond(const struct references *waiting, uint64_t limit)
{
    size_t low = 0, high = waiting->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (waiting->items[middle].time <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct cycle {
    struct feed *feed;
    bool live;
};

static void do_cycle(void *context)
{
    struct cycle *cycle = context;
    struct feed *feed = cycle->feed;
    if (cycle->live && clock_now() - feed->repaired > NANOSECONDS_A_SECOND) {
        repair(&feed->reader);
        feed->repaired = clock_now();
    }
    const uint64_t begun = clock_now();
    if (!reader_collect(&feed->reader, &feed->waiting) || !process_list_update(&feed->processes, feed->trace) ||
        !references_sort(&feed->waiting)) {
        feed->out_of_memory = true;
        return;
    }

    if (feed->waiting.count == 0)
        return;
    size_t end = feed->waiting.count, held = end;
    /* What waits in the ring may be overrun there: with half a shard of it, order matters less than loss. */
    bool urgent = feed->waiting.count > feed->trace->header.slots / 2;
    if (cycle->live && !urgent && feed->trace->header.clock == CLOCK_MONOTONIC) {
        /* The time before the collecting, however long that takes: of what was there by then no shard lacks anything.
         * And the time after it: nothing honest is in its future. What is would pile up if it were waited for. */
        held = first_beyond(&feed->waiting, begun - FEED_HOLD_NS);
        end = first_beyond(&feed->waiting, clock_now());
    }
    print_range(feed, 0, held);
    print_range(feed, end, feed->waiting.count);
    memmove(feed->waiting.items, feed->waiting.items + held, (end - held) * sizeof *feed->waiting.items);
    feed->waiting.count = end - held;
}

bool feed_cycle(struct feed *feed, bool live)
{
    if (feed->cut_short || feed->out_of_memory || feed->output.error != 0)
        return false;
    struct cycle cycle = {feed, live};
    feed->cut_short = !guard_run(feed->trace, do_cycle, &cycle);
    output_flush(&feed->output);
    return !feed->cut_short && !feed->out_of_memory && feed->output.error == 0;
}

static void describe_since(const struct feed *feed, char *text, size_t size)
{
    const struct recvshim_header *header = &feed->trace->header;
    uint64_t realtime = recvshim_realtime(header, feed->reader.complete_since);
    struct tm fields = {0};
    localtime_r(&(time_t){(time_t)(realtime / NANOSECONDS_A_SECOND)}, &fields);
    char stamp[32];
    strftime(stamp, sizeof stamp, feed->printer.date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &fields);
    snprintf(text, size, "; complete since %s.%06" PRIu64, stamp, realtime % NANOSECONDS_A_SECOND / 1000);
}

struct losses {
    const struct feed *feed;
    bool written;
    struct reader_account account;
};

static void count_losses(void *context)
{
    struct losses *losses = context;
    losses->account = reader_account(&losses->feed->reader, losses->written);
}

static uint64_t lost(const struct reader_account *account)
{
    return account->overwritten + account->dropped + account->died;
}

uint64_t feed_lost(const struct feed *feed, bool written)
{
    struct losses losses = {.feed = feed, .written = written};
    return guard_run(feed->trace, count_losses, &losses) ? lost(&losses.account) : 0;
}

void feed_report_losses(const struct feed *feed, const char *name, bool written)
{
    struct losses losses = {.feed = feed, .written = written};
    if (!guard_run(feed->trace, count_losses, &losses))
        return;
    const struct reader_account *account = &losses.account;
    if (lost(account) == 0)
        return;
    char since[96] = "";
    if (account->overwritten > 0 && feed->reader.complete_since != 0)
        describe_since(feed, since, sizeof since);
    message("%s: %" PRIu64 " of %" PRIu64 " events lost: %" PRIu64 " overwritten, %" PRIu64 " dropped, %" PRIu64
            " left unfinished by killed writers%s",
            name, lost(account), account->cursor, account->overwritten, account->dropped, account->died, since);
}

bool feed_report_missing(const struct feed *feed, const char *name)
{
    return missing_report(feed->trace, &feed->filter, feed->connections, name);
}
