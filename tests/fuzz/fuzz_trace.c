/* libFuzzer: a trace of any bytes is read, repaired, printed in any format, or counted, or its control page is shown;
 * nothing may crash or hang, and what is printed must be text or JSON, as the format is. A header of any bytes is
 * refused, or mapped as its file is long. */
#include "cli/control_state.h"
#include "cli/family.h"
#include "cli/fault_list.h"
#include "cli/feed.h"
#include "cli/missing.h"
#include "cli/overruled.h"
#include "cli/report.h"
#include "cli/story.h"
#include "printed.h"
#include "tests/blank_rule.h"
#include "trace/clock.h"
#include "trace/identity.h"
#include "trace/locate.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define HEAD 24 /* bytes that choose */

/* A few geometries: each is made once, as a file in memory that stays mapped. Making and mapping one takes longer than
 * all else that is done with it. */
static struct trace traces[3][4][4][2];

/* Seldom as many shards as there can be: then they are small. */
static bool has_all_shards(const uint8_t *bytes)
{
    return (bytes[0] & 7) == 7;
}

static struct recvshim_header header_of(const uint8_t *bytes)
{
    return (struct recvshim_header){.magic = {'r', 'e', 'c', 'v', 's', 'h', 'i', 'm'},
                                    .version = RECVSHIM_VERSION,
                                    .byte_order = RECVSHIM_BYTE_ORDER,
                                    .record_size = RECVSHIM_RECORD_SIZE,
                                    .shards = has_all_shards(bytes) ? RECVSHIM_MAX_SHARDS : 1U << (bytes[0] & 1),
                                    .slots = has_all_shards(bytes) ? 1 : UINT64_C(1) << (bytes[1] & 3),
                                    .processes = 1 + (bytes[2] & 3),
                                    .names = 1U << (bytes[3] & 1)};
}

static struct trace *map_trace(const uint8_t *bytes)
{
    const struct recvshim_header header = header_of(bytes);
    struct trace *trace = &traces[has_all_shards(bytes) ? 2 : bytes[0] & 1][bytes[1] & 3][bytes[2] & 3][bytes[3] & 1];
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

#define ALL_FAULTS 64 /* a bit of its number: it is a fault, as all of its neighbours are */

/* A record with something in each of its parts, of every event and kind of peer in turn. Each receive has two faults.
 */
static struct recvshim_record sample(uint32_t number)
{
    static const uint16_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC};
    const uint8_t event = (number & ALL_FAULTS) != 0 ? RECVSHIM_EVENT_FAULT : (uint8_t)(number % RECVSHIM_EVENTS);
    const bool fault = event == RECVSHIM_EVENT_FAULT, receive = event < RECVSHIM_EVENT_CONNECT || fault;
    const bool failed = event == RECVSHIM_EVENT_DISCONNECT || event == RECVSHIM_EVENT_ERROR;
    struct recvshim_record record = {
        .time = number * UINT64_C(1000000007),
        .connection = 1 + number / 4 % 3,
        .result = failed ? -1 : 100,
        .requested = 200,
        .duration = 1 + number / 2, /* of a fault, its ordinal */
        .pid = 1 + number / 2 % 2,
        .tid = 1 + number / 2 % 3,
        .fd = 3,
        .flags = MSG_DONTWAIT,
        .error = failed ? ECONNRESET : 0,
        .event = event,
        .call = receive ? (uint8_t)(number % RECVSHIM_CALLS) : RECVSHIM_CALL_NONE,
        .retries = event == RECVSHIM_EVENT_RECEIVE || event == RECVSHIM_EVENT_INTERRUPTED,
        .peer = {.family = families[(number + number / RECVSHIM_EVENTS) % 4], .port = 80, .scope = 1, .bytes = {1}},
        .local_port = 1024,
        .result_flags = RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_DURATION,
        .injected = fault ? (uint16_t)(1U << number / 4 % RECVSHIM_ACTIONS) : 0,
        .socket_type = number % 5 == 0 ? SOCK_DGRAM : SOCK_STREAM,
    };
    if (fault) {
        record.rule = 1 + number % 4;
        record.injection = (struct recvshim_injection){.origin = 7, .draw = 9};
    } else if (record.retries != 0) {
        record.result_flags |= RECVSHIM_RESULT_CANDIDATES;
        record.signals = UINT64_C(1) << (SIGALRM - 1);
    } else if (failed || event == RECVSHIM_EVENT_CLOSE) {
        record.result_flags |= RECVSHIM_RESULT_TCP;
        record.tcp = (struct recvshim_tcp){.rtt = 50, .state = TCP_ESTABLISHED};
    } else {
        record.result_flags |= RECVSHIM_RESULT_LOCAL;
        record.local_address[0] = 127;
    }
    return record;
}

static void fill_control(const struct trace *trace)
{
    static const struct recvshim_rule rule = {
        .calls = RECVSHIM_RULE_EVERY_CALL, .action = RECVSHIM_ACTION_DROP, NO_OPTIONS};
    struct recvshim_control *control = trace->control;
    memset(control, 0, sizeof *control);
    atomic_store_explicit(&control->tracing, 1, memory_order_relaxed);
    atomic_store_explicit(&control->events, RECVSHIM_EVENTS_DEFAULT, memory_order_relaxed);
    atomic_store_explicit(&control->generation, 2, memory_order_relaxed);
    atomic_store_explicit(&control->rules, 2, memory_order_relaxed);
    for (size_t i = 0; i < 4; i++)
        memcpy(control->rule_words[i], &rule, sizeof rule);
}

/* Slots that are whole, of the first lap, cursors that have passed them, and what the records tell of. `turn`: which
 * events they are, where there is not a slot for each. */
static void fill(const struct trace *trace, uint32_t turn)
{
    const struct recvshim_header *header = &trace->header;
    char *base = trace->base;
    memset(base + trace->layout.counters, 0, trace->layout.size - trace->layout.counters);
    fill_control(trace);
    atomic_store_explicit(&trace->counters->processes, header->processes, memory_order_relaxed);
    atomic_store_explicit(&trace->counters->connections, 3, memory_order_relaxed);
    for (uint32_t i = 0; i < header->processes; i++) {
        atomic_store_explicit(&trace->processes[i].pid, 1 + i % 2, memory_order_relaxed);
        trace->processes[i].parent = i;
        trace->processes[i].start = i * UINT64_C(500000000);
        memcpy(trace->processes[i].comm, "name", 5);
    }
    for (uint32_t i = 0; i < header->names; i++) {
        atomic_store_explicit(&trace->names[i].state, 2, memory_order_relaxed);
        trace->names[i].length = 5;
        memcpy(trace->names[i].text, "/path", 5);
    }
    for (uint32_t i = 0; i < header->shards; i++)
        atomic_store_explicit(&trace->cursors[i].cursor, header->slots, memory_order_relaxed);
    uint64_t word = recvshim_state_word(0, 1, RECVSHIM_STATE_DONE);
    for (uint32_t i = 0; i < header->shards * header->slots; i++) {
        const struct recvshim_record record = sample(turn + i);
        atomic_store_explicit(&trace->slots[i].state, word, memory_order_relaxed);
        memcpy((void *)trace->slots[i].payload, &record, sizeof record);
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
    memset(trace->header.boot_id, bytes[5] >> 1 & 1, sizeof trace->header.boot_id);
    trace->header.pid_namespace = 1;
    memcpy(&trace->header.monotonic, bytes + 8, sizeof trace->header.monotonic);
    memcpy(&trace->header.realtime, bytes + 16, sizeof trace->header.realtime);
    fill(trace, bytes[3] >> 1);
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

/* ---- what is around the trace: the input chooses, and the linker leads the calls here ---- */

static struct {
    bool written, processes;
    time_t now; /* seconds */
} around;

bool __wrap_trace_is_written(const struct trace *trace);
bool __wrap_trace_is_written(const struct trace *trace)
{
    (void)trace;
    return around.written;
}

void __wrap_identity_boot(uint8_t id[16]);
void __wrap_identity_boot(uint8_t id[16])
{
    memset(id, 1, 16);
}

uint64_t __wrap_identity_pid_namespace(void);
uint64_t __wrap_identity_pid_namespace(void)
{
    return 1;
}

int __wrap_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number)
{
    (void)pid, (void)number;
    errno = ESRCH;
    return around.processes ? 0 : -1;
}

enum locate_answer __wrap_locate_has(pid_t pid, const struct trace *trace);
enum locate_answer __wrap_locate_has(pid_t pid, const struct trace *trace)
{
    (void)pid, (void)trace;
    return LOCATE_YES;
}

/* Some of the records are of the future. */
static int read_clock(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = around.now};
    return 0;
}

int __wrap_nanosleep(const struct timespec *span, struct timespec *rest);
int __wrap_nanosleep(const struct timespec *span, struct timespec *rest)
{
    (void)span, (void)rest;
    return 0;
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
    static const struct {
        void (*print)(const struct report *report, struct output *output);
        enum printed kind;
    } formats[] = {{report_text, PRINTED_TEXT}, {report_json, PRINTED_JSON}, {report_prometheus, PRINTED_DATA}};
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
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if ((bytes[4] >> 4) % (sizeof formats / sizeof formats[0]) != i)
            continue;
        output_init(&output, PRINTED);
        report = (struct report){.totals = &totals,
                                 .account = reader_account(&reader, around.written),
                                 .order = {bytes[6] >> 1 & 7, (bytes[6] & 16) != 0},
                                 .written = around.written,
                                 .limit = bytes[7] >> 1,
                                 .width = bytes[5]};
        check_account(&report.account);
        if (!report_make(&report))
            abort();
        formats[i].print(&report, &output);
        output_flush(&output);
        printed_check(formats[i].kind);
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
    if (!control_state_look(&state, trace, &cut_short))
        abort();
    output_init(&output, PRINTED);
    control_state_text(&state, &output, false);
    output_flush(&output);
    printed_check(PRINTED_TEXT);
    control_state_json(&state, &output);
    output_flush(&output);
    printed_check(PRINTED_JSON);
    control_state_free(&state);
}

/* What `recvshim run` says in the end, of whom the trace knows. */
static void report_family(const struct feed *feed, struct family *family)
{
    static struct overruled overruled;
    char words[OVERRULED_WORDS_MAX];
    uint64_t signals;
    const struct family_end end = {.name = "fuzz", .comm = "name", .departures = true};
    family_report(family, &end);
    family_free(family);
    overruled_count(&overruled, feed->trace, &signals);
    overruled.told = false;
    overruled.since = 1;
    if (overruled_look(&overruled, feed->trace, clock_now(), words) && strlen(words) + 1 >= sizeof words)
        abort();
}

/* `recvshim show`, also as it follows a trace; and `run`. */
static void show(struct trace *trace, const struct format *format, enum printed kind, const uint8_t *bytes)
{
    static struct feed feed;
    struct fault_list faults = {0};
    struct story story;
    static struct family family;
    const bool written = around.written;
    feed_init(&feed, trace, (bytes[6] & 1) != 0 ? READER_NOW : READER_OLDEST, PRINTED, format);
    feed.printer.faults = &faults;
    feed.printer.colour = (bytes[6] & 2) != 0;
    if ((bytes[6] & 4) != 0) {
        filter_parse(&feed.filter, "connection", "1");
        story_begin(&story, 1);
        feed.printer.story = &story;
    }
    const bool run = (bytes[6] & 32) != 0;
    if (run) {
        family_begin(&family, trace, &feed.processes, 1, 0, (trace->header.realtime & 1) != 0);
        feed.observe = family_observe;
        feed.observe_context = &family;
    }
    feed_begin(&feed);
    feed_cycle(&feed, true);
    around.now += 2; /* slots of dead writers are looked for once a second */
    feed_cycle(&feed, true);
    feed_cycle(&feed, false);
    faults.lost = feed_lost(&feed, written);
    faults.set_anew = (bytes[6] & 8) != 0;
    faults.unrecorded = (bytes[6] & 16) != 0;
    feed_end(&feed);
    struct reader_account account = reader_account(&feed.reader, written);
    check_account(&account);
    printed_check(feed.printer.colour && kind == PRINTED_TEXT ? PRINTED_DATA : kind);
    feed_report_losses(&feed, "fuzz", written);
    missing_report_processes(trace, &feed.processes, "fuzz");
    feed_report_missing(&feed, "fuzz");
    if (run)
        report_family(&feed, &family);
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
    static const struct {
        const struct format *format;
        enum printed kind;
    } formats[] = {{&format_text, PRINTED_TEXT},
                   {&format_json, PRINTED_JSON},
                   {&format_csv, PRINTED_DATA},
                   {&format_chrome, PRINTED_JSON},
                   {&format_faults, PRINTED_TEXT}};
    const size_t count_formats = sizeof formats / sizeof formats[0];
    if (size < HEAD)
        return 0;
    if (bytes[0] >= 0xf0) { /* seldom: a map for each costs most */
        try_header(bytes, size);
        return 0;
    }
    struct trace *trace = make_trace(bytes, size);
    around.written = (bytes[7] & 1) != 0;
    around.processes = (bytes[5] & 4) != 0;
    around.now = 8;
    atomic_store_explicit(&clock_source, read_clock, memory_order_relaxed);
    size_t choice = bytes[4] >> 1 & 7;
    if (choice < count_formats)
        show(trace, formats[choice].format, formats[choice].kind, bytes);
    else if (choice == count_formats)
        show_control(trace);
    else
        count(trace, bytes);
    return 0;
}
