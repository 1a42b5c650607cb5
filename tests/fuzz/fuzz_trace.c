/* libFuzzer: a trace of any bytes is read, repaired, printed in every format, and counted, and its control page is
 * shown; nothing may crash, hang or be printed that is not UTF-8. The first bytes choose the header's numbers, so that
 * most inputs get past its check. */
#include "cli/control_state.h"
#include "cli/fault_list.h"
#include "cli/feed.h"
#include "cli/report.h"
#include "cli/utf8.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int make_trace(const uint8_t *bytes, size_t size)
{
    struct recvshim_header header = {.magic = {'r', 'e', 'c', 'v', 's', 'h', 'i', 'm'},
                                     .version = RECVSHIM_VERSION,
                                     .byte_order = RECVSHIM_BYTE_ORDER,
                                     .record_size = RECVSHIM_RECORD_SIZE,
                                     .shards = 1U << (bytes[0] & 1),
                                     .slots = UINT64_C(1) << (bytes[1] & 3),
                                     .processes = 1 + (bytes[2] & 3),
                                     .names = 1U << (bytes[3] & 1),
                                     .mode = bytes[4] & 1,
                                     .clock = bytes[5] & 1};
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);
    memcpy(&header.monotonic, bytes + 8, sizeof header.monotonic);
    memcpy(&header.realtime, bytes + 16, sizeof header.realtime);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (ftruncate(fd, (off_t)layout.size) != 0 || pwrite(fd, &header, sizeof header, 0) < 0)
        abort();
    /* The counters first, what is behind the counts of rules, then the slots; the same once more as the control page.
     * The pages between are zeros. */
    const struct {
        uint64_t from, size;
    } parts[] = {{layout.counters, sizeof(struct recvshim_counters)},
                 {layout.cursors, layout.names - layout.cursors},
                 {layout.slots, layout.size - layout.slots}};
    for (size_t i = 0, at = 24, length; i < sizeof parts / sizeof parts[0]; i++, at += length) {
        length = size - at < parts[i].size ? size - at : (size_t)parts[i].size;
        if (pwrite(fd, bytes + at, length, (off_t)parts[i].from) < 0)
            abort();
    }
    if (pwrite(fd, bytes + 24, size - 24, RECVSHIM_CONTROL_OFFSET) < 0)
        abort();
    return fd;
}

static void check_utf8(int fd)
{
    static char text[1 << 20];
    ssize_t length = pread(fd, text, sizeof text, 0);
    uint32_t character;
    for (ssize_t at = 0; at < length;) {
        size_t step = utf8_decode(text + at, (size_t)(length - at), &character);
        if (step == 0)
            abort();
        at += (ssize_t)step;
    }
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
        int fd = memfd_create("output", MFD_CLOEXEC);
        output_init(&output, fd);
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
        check_utf8(fd);
        report_free(&report);
        close(fd);
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
    int fd = memfd_create("output", MFD_CLOEXEC);
    output_init(&output, fd);
    control_state_text(&state, &output, true);
    control_state_json(&state, &output);
    output_flush(&output);
    check_utf8(fd);
    control_state_free(&state);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct format *const formats[] = {&format_text, &format_json, &format_csv, &format_chrome,
                                                   &format_faults};
    static struct feed feed;
    struct fault_list faults = {0};
    struct trace trace;
    if (size < 24 || trace_map(make_trace(bytes, size), TRACE_CONTROL, &trace).what != NULL)
        return 0;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        int fd = memfd_create("output", MFD_CLOEXEC);
        feed_init(&feed, &trace, (bytes[6] & 1) != 0 ? READER_NOW : READER_OLDEST, fd, formats[i]);
        feed.printer.faults = &faults;
        feed_begin(&feed);
        feed_cycle(&feed, true);
        feed_cycle(&feed, false);
        feed_end(&feed);
        struct reader_account account = reader_account(&feed.reader, (bytes[7] & 1) != 0);
        check_account(&account);
        check_utf8(fd);
        feed_free(&feed);
        close(fd);
    }
    check_rules(&faults);
    fault_list_free(&faults);
    count(&trace, bytes);
    show_control(&trace);
    trace_close(&trace);
    return 0;
}
