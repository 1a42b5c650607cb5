/* libFuzzer: a trace of any bytes is read, repaired, printed in any format, or counted, or its control page is shown;
 * nothing may crash, hang or be printed that is not UTF-8. A header of any bytes is refused,
 * or mapped as its file is long.
 */
#include "cli/control_state.h"
#include "cli/fault_list.h"
#include "cli/feed.h"
#include "cli/report.h"
#include "cli/utf8.h"
#include "trace/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define HEAD 24 /* bytes that choose */

/* Two geometries at most of each number: few enough that each is made once, as a file in memory that stays mapped.
 * Making and mapping one takes longer than all else that is done with it. */
static struct trace traces[2][4][4][2];

static struct recvshim_header header_of(const uint8_t *bytes)
{
    return (struct recvshim_header){.magic = {'r', 'e', 'c', 'v', 's', 'h', 'i', 'm'},
                                    .version = RECVSHIM_VERSION,
                                    .byte_order = RECVSHIM_BYTE_ORDER,
                                    .record_size = RECVSHIM_RECORD_SIZE,
                                    .shards = 1U << (bytes[0] & 1),
                                    .slots = UINT64_C(1) << (bytes[1] & 3),
                                    .processes = 1 + (bytes[2] & 3),
                                    .names = 1U << (bytes[3] & 1)};
}

static struct trace *map_trace(const uint8_t *bytes)
{
    const struct recvshim_header header = header_of(bytes);
    struct trace *trace = &traces[bytes[0] & 1][bytes[1] & 3][bytes[2] & 3][bytes[3] & 1];
    if (trace->base != NULL)
        return trace;
    setenv("TZ", "UTC0", 1); /* without a file that each local time would look for */
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (ftruncate(fd, (off_t)layout.size) != 0 || pwrite(fd, &header, sizeof header, 0) < 0 ||
        trace_map(fd, TRACE_CONTROL, trace).what != NULL)
        abort();
    return trace;
}

/* Slots that are whole, of the first lap, and cursors that have passed them; all else is zero. */
static void fill(const struct trace *trace)
{
    const struct recvshim_header *header = &trace->header;
    char *base = trace->base;
    memset(trace->control, 0, sizeof *trace->control);
    memset(base + trace->layout.counters, 0, trace->layout.size - trace->layout.counters);
    atomic_store_explicit(&trace->counters->processes, header->processes, memory_order_relaxed);
    for (uint32_t i = 0; i < header->shards; i++)
        atomic_store_explicit(&trace->cursors[i].cursor, header->slots, memory_order_relaxed);
    uint64_t word = recvshim_state_word(0, 1, RECVSHIM_STATE_DONE);
    for (uint64_t i = 0; i < header->shards * header->slots; i++) {
        atomic_store_explicit(&trace->slots[i].state, word, memory_order_relaxed);
        atomic_store_explicit(&trace->slots[i].tail, word, memory_order_relaxed);
    }
}

static void lay_over(const struct trace *trace, uint64_t from, const uint8_t *bytes, size_t size)
{
    uint8_t *at = (uint8_t *)trace->base + from;
    for (size_t i = 0; i < size; i++)
        at[i] ^= bytes[i];
}

/* The first bytes choose the header's numbers; those behind are laid by exclusive or over a trace that is good, so that
 * most inputs change little in it: the counters first, what is behind the counts of rules, then the slots; the same
 * once more as the control page. */
static struct trace *make_trace(const uint8_t *bytes, size_t size)
{
    struct trace *trace = map_trace(bytes);
    trace->header.mode = bytes[4] & 1;
    trace->header.clock = bytes[5] & 1;
    memcpy(&trace->header.monotonic, bytes + 8, sizeof trace->header.monotonic);
    memcpy(&trace->header.realtime, bytes + 16, sizeof trace->header.realtime);
    fill(trace);
    const struct recvshim_layout *layout = &trace->layout;
    const struct {
        uint64_t from, size;
    } parts[] = {{layout->cursors, layout->names - layout->cursors},
                 {layout->slots, layout->size - layout->slots},
                 {layout->counters, sizeof(struct recvshim_counters)},
                 {layout->names, layout->slots - layout->names}};
    for (size_t i = 0, at = HEAD, length; i < sizeof parts / sizeof parts[0]; i++, at += length) {
        length = size - at < parts[i].size ? size - at : (size_t)parts[i].size;
        lay_over(trace, parts[i].from, bytes + at, length);
    }
    size_t page = sizeof *trace->control;
    lay_over(trace, RECVSHIM_CONTROL_OFFSET, bytes + HEAD, size - HEAD < page ? size - HEAD : page);
    return trace;
}

/* What is printed is kept here: the linker leads all calls of write() to this one. */
#define PRINTED (-2)
static char printed[1 << 22];
static size_t printed_size;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    if (fd != PRINTED)
        return __real_write(fd, bytes, size);
    if (size > sizeof printed - printed_size)
        abort();
    memcpy(printed + printed_size, bytes, size);
    printed_size += size;
    return (ssize_t)size;
}

static void check_utf8(void)
{
    uint32_t character;
    for (size_t at = 0, step; at < printed_size; at += step) {
        step = utf8_decode(printed + at, printed_size - at, &character);
        if (step == 0)
            abort();
    }
    printed_size = 0;
}

static void check_account(const struct reader_account *account)
{
    if (account->cursor !=
        account->delivered + account->overwritten + account->dropped + account->died + account->pending)
        abort();
}

static void visit(void *context, const struct recvshim_record *record)
{
    totals_add(context, record);
}

/* `recvshim stats`, with an order and a limit that the input chooses. */
static void count(const struct trace *trace, const uint8_t *bytes)
{
    static void (*const print[])(const struct report *report, struct output *output) = {report_text, report_json,
                                                                                        report_prometheus};
    static struct totals totals;
    static struct report report;
    static struct output output;
    struct process_list processes = {0};
    struct reader reader;
    reader_init(&reader, trace, READER_OLDEST);
    totals_init(&totals, trace, &processes);
    reader_mark(&reader);
    if (!process_list_update(&processes, trace) || !reader_scan(&reader, visit, &totals))
        abort();
    totals_flush(&totals);
    for (size_t i = 0; i < sizeof print / sizeof print[0]; i++) {
        if ((bytes[4] >> 4) % (sizeof print / sizeof print[0]) != i)
            continue;
        output_init(&output, PRINTED);
        report = (struct report){.totals = &totals,
                                 .account = reader_account(&reader, (bytes[7] & 1) != 0),
                                 .order = {bytes[6] >> 1 & 7, (bytes[6] & 16) != 0},
                                 .written = (bytes[7] & 1) != 0,
                                 .limit = bytes[7] >> 1,
                                 .width = bytes[5]};
        check_account(&report.account);
        if (!report_make(&report))
            abort();
        print[i](&report, &output);
        output_flush(&output);
        check_utf8();
        report_free(&report);
    }
    totals_free(&totals);
    process_list_free(&processes);
    reader_free(&reader);
}

/* What is printed as rules are rules, and all may hold at once. */
static void check_rules(const struct fault_list *faults)
{
    static struct fault_rules rules;
    static char text[RECVSHIM_MAX_RULES * FAULT_RULE_TEXT_MAX];
    char problem[FAULT_PROBLEM_MAX];
    size_t length = 0;
    if (faults->rule_count > RECVSHIM_MAX_RULES)
        return;
    for (size_t i = 0; i < faults->rule_count; i++) {
        length += fault_rule_text(&faults->rules[i], text + length);
        text[length++] = '\n';
    }
    text[length] = '\0';
    if (!fault_rules_parse(text, &rules, problem) || rules.count != faults->rule_count)
        abort();
}

/* `recvshim control`. */
static void show_control(const struct trace *trace)
{
    static struct control_state state;
    static struct output output;
    bool cut_short;
    /* One that is odd would be waited for. */
    atomic_fetch_and_explicit(&trace->control->generation, ~1U, memory_order_relaxed);
    if (!control_state_look(&state, trace, &cut_short))
        abort();
    output_init(&output, PRINTED);
    control_state_text(&state, &output, true);
    control_state_json(&state, &output);
    output_flush(&output);
    check_utf8();
    control_state_free(&state);
}

/* `recvshim show`. */
static void show(struct trace *trace, const struct format *format, const uint8_t *bytes)
{
    static struct feed feed;
    struct fault_list faults = {0};
    feed_init(&feed, trace, (bytes[6] & 1) != 0 ? READER_NOW : READER_OLDEST, PRINTED, format);
    feed.printer.faults = &faults;
    if ((bytes[6] & 6) != 0) /* seldom repaired: that opens files of /proc */
        feed.repaired = clock_now();
    feed_begin(&feed);
    feed_cycle(&feed, true);
    feed_cycle(&feed, false);
    feed_end(&feed);
    struct reader_account account = reader_account(&feed.reader, (bytes[7] & 1) != 0);
    check_account(&account);
    check_utf8();
    feed_free(&feed);
    if (format == &format_faults)
        check_rules(&faults);
    fault_list_free(&faults);
}

/* A good header with the input laid over it, before a file as long as the good one says. */
static void try_header(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    struct recvshim_header header = header_of(bytes);
    uint64_t length = recvshim_layout(header.shards, header.slots, header.processes, header.names).size;
    for (size_t i = 0; i < size - HEAD && i < sizeof header; i++)
        ((uint8_t *)&header)[i] ^= bytes[HEAD + i];
    if (fd < 0)
        fd = memfd_create("header", MFD_CLOEXEC);
    if (ftruncate(fd, (off_t)length) != 0 || pwrite(fd, &header, sizeof header, 0) < 0)
        abort();
    struct trace trace;
    if (trace_map(fcntl(fd, F_DUPFD_CLOEXEC, 0), TRACE_READ, &trace).what != NULL)
        return;
    if (trace.layout.size != length)
        abort();
    trace_close(&trace);
}

/* Of what can be done with a trace the input chooses one: each has its inputs in the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome,
                                                   &format_faults};
    const size_t count_formats = sizeof formats / sizeof formats[0];
    if (size < HEAD)
        return 0;
    if (bytes[0] >= 0xf0) { /* seldom: a map for each costs most */
        try_header(bytes, size);
        return 0;
    }
    struct trace *trace = make_trace(bytes, size);
    size_t choice = bytes[4] >> 1 & 7;
    if (choice < count_formats)
        show(trace, formats[choice], bytes);
    else if (choice == count_formats)
        show_control(trace);
    else
        count(trace, bytes);
    return 0;
}
