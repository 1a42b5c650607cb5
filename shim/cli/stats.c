/* recvshim stats: what the records of a trace add up to. */
#include "command.h"
#include "guard.h"
#include "message.h"
#include "missing.h"
#include "options.h"
#include "progress.h"
#include "replace.h"
#include "report.h"
#include "stop.h"
#include "trace/clock.h"
#include "trace/repair.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define POLL_MS      20
#define ROWS_DEFAULT 20 /* of text */
#define WIDTH        80

struct arguments {
    struct source_options source;
    struct output_options output;
    struct filter filter;
    struct report_order order;
    uint64_t interval; /* ns; 0: one report */
    size_t limit;      /* 0: not given */
};

enum { KEY_SORT = 512, KEY_TOP, KEY_INTERVAL };

static const struct argp_option options[] = {
    {"sort", KEY_SORT, "KEY", 0,
     "Order of the connections: bytes (the default), receives, duration, first, last, connection, pid or peer; -KEY is "
     "the reverse",
     0},
    {"top", KEY_TOP, "N", 0, "Only the first N rows of each table, or all; text shows 20", 0},
    {"interval", KEY_INTERVAL, "SECONDS", 0,
     "Report again and again, until nobody writes the trace any more; Prometheus's FILE is replaced each time", 0},
    {0},
};

static const struct argp_child children[] = {
    {&source_argp, 0, NULL, 0},
    {&output_argp, 0, "", 1},
    {&filter_argp, 0, "Count only these events:", 2},
    {0},
};

static void take_sort(struct report_order *order, const char *value)
{
    const char *name = value + (*value == '-');
    for (size_t i = 0; report_keys[i] != NULL; i++) {
        if (strcmp(report_keys[i], name) == 0) {
            *order = (struct report_order){(enum report_key)i, *value == '-'};
            return;
        }
    }
    message_usage("--sort=%s: must be bytes, receives, duration, first, last, connection, pid or peer, with a - before "
                  "it for the reverse",
                  value);
}

static size_t parse_top(const char *value)
{
    char *end;
    errno = 0;
    if (strcmp(value, "all") == 0)
        return SIZE_MAX;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || errno != 0 || *end != '\0' || number == 0)
        message_usage("--top=%s: must be all, or a number from 1", value);
    return number < SIZE_MAX ? (size_t)number : SIZE_MAX;
}

static uint64_t parse_interval(const char *value)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !(seconds >= 0.01 && seconds <= 1e6))
        message_usage("--interval=%s: must be seconds, from 0.01 to 1000000", value);
    return (uint64_t)(seconds * (double)NANOSECONDS_A_SECOND);
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->source;
        state->child_inputs[1] = &arguments->output;
        state->child_inputs[2] = &arguments->filter;
        return 0;
    case KEY_SORT:
        take_sort(&arguments->order, value);
        return 0;
    case KEY_TOP:
        arguments->limit = parse_top(value);
        return 0;
    case KEY_INTERVAL:
        arguments->interval = parse_interval(value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* All of a run. */
struct stats {
    const struct arguments *arguments;
    struct trace *trace;
    const char *name;
    struct reader reader;
    struct process_list processes;
    struct totals totals;
    struct event_maker maker; /* for the filter by peer */
    struct output output;
    int fd;
    uint64_t visited, total; /* records of this cycle */
    struct progress progress;
    bool progress_wanted;
    uint64_t repaired; /* when dead slots were last looked for */
    uint64_t reports;
    uint64_t found;                        /* those of the filter's connections that have an event: a set */
    bool written;                          /* asked before the last cycle */
    bool out_of_memory, cut_short, failed; /* failed: and said so */
};

static void visit(void *context, const struct recvshim_record *record)
{
    struct stats *stats = context;
    const struct filter *filter = &stats->arguments->filter;
    if (stats->progress_wanted && stats->visited++ % 65536 == 0)
        progress_update(&stats->progress, stats->visited, stats->total);
    stats->found |= filter_connection(filter, record);
    if (!filter_accepts_record(filter, record, recvshim_realtime(&stats->trace->header, record->time)))
        return;
    if (filter->has_peer) {
        struct event event = {.record = *record};
        event_complete(&stats->maker, &event);
        if (!filter_accepts_peer(filter, &event))
            return;
    }
    totals_add(&stats->totals, record);
}

static void do_cycle(void *context)
{
    struct stats *stats = context;
    if (stats->arguments->interval != 0 && clock_now() - stats->repaired > NANOSECONDS_A_SECOND) {
        repair(&stats->reader);
        stats->repaired = clock_now();
    }
    reader_mark(&stats->reader);
    totals_forget_process(&stats->totals);
    if (!process_list_update(&stats->processes, stats->trace)) {
        stats->out_of_memory = true;
        return;
    }
    stats->visited = stats->total = 0;
    for (uint32_t i = 0; i < stats->trace->header.shards; i++)
        stats->total += stats->reader.shards[i].cursor - stats->reader.shards[i].next;
    bool scanned = reader_scan(&stats->reader, visit, stats);
    totals_flush(&stats->totals);
    stats->out_of_memory = !scanned || stats->totals.out_of_memory;
}

static void do_report(void *context)
{
    static const struct {
        const char *format;
        void (*print)(const struct report *report, struct output *output);
    } formats[] = {{"text", report_text}, {"json", report_json}, {"prometheus", report_prometheus}};
    static struct report report; /* too large for a stack */
    struct stats *stats = context;
    const struct arguments *arguments = stats->arguments;
    const char *format = output_options_format(&arguments->output);
    bool text = strcmp(format, "text") == 0, rows = strcmp(format, "prometheus") != 0;
    struct winsize window;
    bool terminal = ioctl(stats->fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    report = (struct report){.totals = &stats->totals,
                             .account = reader_account(&stats->reader, stats->written),
                             .order = arguments->order,
                             .written = stats->written,
                             .hidden = filter_hides_ends(&arguments->filter),
                             .limit = !rows                   ? 0 /* it has nothing of a single connection */
                                      : arguments->limit != 0 ? arguments->limit
                                      : text                  ? ROWS_DEFAULT
                                                              : SIZE_MAX,
                             .colour = output_options_colour(&arguments->output, stats->fd),
                             .width = terminal ? window.ws_col : WIDTH};
    stats->out_of_memory = !report_make(&report);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0] && !stats->out_of_memory; i++)
        if (strcmp(formats[i].format, format) == 0)
            formats[i].print(&report, &stats->output);
    output_flush(&stats->output);
    report_free(&report);
}

/* What is left of a terminal's screen. */
struct screen {
    size_t rows, width, column;
    bool escape; /* in a sequence that sets a colour */
};

/* Whether there is room for the byte: a line that is too long for the terminal goes on in its next row. */
static bool screen_takes(struct screen *screen, char byte)
{
    if (byte == '\n') {
        screen->column = 0;
        screen->rows--;
    } else if (screen->escape || byte == '\033') {
        screen->escape = byte != 'm';
    } else if (((unsigned char)byte & 0xc0) != 0x80 && screen->column++ == screen->width) {
        screen->column = 1;
        screen->rows--;
    }
    return screen->rows > 0;
}

/* As much of a report as the terminal has rows, in the place of the one before. */
static void redraw(struct stats *stats, int memory)
{
    struct winsize window;
    bool known = ioctl(stats->fd, TIOCGWINSZ, &window) == 0 && window.ws_row > 1 && window.ws_col > 0;
    struct screen screen = {.rows = known ? window.ws_row : SIZE_MAX, .width = known ? window.ws_col : SIZE_MAX};
    output_init(&stats->output, stats->fd);
    output_text(&stats->output, "\033[H\033[J");
    char part[OUTPUT_EVENT_MAX];
    bool room = true;
    for (ssize_t got, from = 0; room && (got = pread(memory, part, sizeof part, from)) > 0; from += got) {
        output_reserve(&stats->output);
        for (ssize_t i = 0; i < got && (room = screen_takes(&screen, part[i])); i++)
            output_byte(&stats->output, part[i]);
    }
    output_reserve(&stats->output);
    if (output_options_colour(&stats->arguments->output, stats->fd))
        output_text(&stats->output, "\033[m");
    output_flush(&stats->output);
}

static bool say(struct stats *stats, struct trace_error error)
{
    if (error.what != NULL) {
        message_trace_error(output_options_name(&stats->arguments->output), error);
        stats->failed = true;
    }
    return error.what == NULL;
}

/* Print where it belongs. Returns false where that failed, or nobody reads any more. */
static bool print_report(struct stats *stats, bool replaces)
{
    const struct output_options *wanted = &stats->arguments->output;
    const char *format = output_options_format(wanted);
    bool repeats = stats->arguments->interval != 0, text = strcmp(format, "text") == 0;
    bool screen = repeats && text && isatty(stats->fd);
    struct replacement replacement;
    int fd = stats->fd;
    if (replaces && !say(stats, replace_begin(&replacement, wanted->path, stats->trace, &fd)))
        return false;
    if (screen)
        fd = memfd_create("report", MFD_CLOEXEC);
    output_init(&stats->output, fd);
    if (repeats && text && !screen && stats->reports > 0)
        output_text(&stats->output, "\n----\n\n");
    if (repeats && !text && !replaces && stats->reports > 0 && strcmp(format, "prometheus") == 0)
        output_byte(&stats->output, '\n');
    stats->reports++;
    stats->cut_short = !guard_run(stats->trace, do_report, stats);
    bool whole = !stats->cut_short && !stats->out_of_memory && stats->output.error == 0;
    if (screen && whole)
        redraw(stats, fd);
    if (screen && fd >= 0)
        close(fd);
    if (replaces && whole)
        return say(stats, replace_end(&replacement, fd));
    if (replaces)
        replace_abandon(&replacement, fd);
    return whole && stats->output.error == 0;
}

/* Whether there is no end to wait for: the output's reader is gone, as of `stats --interval 1 | head'. */
static bool reader_is_gone(struct stats *stats, bool replaces)
{
    struct pollfd reader = {.fd = replaces ? -1 : stats->fd};
    return poll(&reader, 1, POLL_MS) > 0;
}

static void count_and_print(struct stats *stats, bool replaces)
{
    uint64_t interval = stats->arguments->interval, due = clock_now();
    for (;;) {
        stats->written = trace_is_written(stats->trace); /* asked first: what came before is then in the cycle */
        bool last = interval == 0 || !stats->written || stop_requested;
        stats->cut_short = !guard_run(stats->trace, do_cycle, stats);
        if (stats->cut_short || stats->out_of_memory)
            return;
        if (stats->progress_wanted)
            progress_end(&stats->progress);
        if (last || clock_now() >= due) {
            if (!print_report(stats, replaces))
                return;
            due = clock_now() < due + interval ? due + interval : clock_now() + interval;
        }
        if (last || reader_is_gone(stats, replaces))
            return;
    }
}

static int judge(const struct stats *stats)
{
    if (stats->failed)
        return STATUS_FAILED;
    if (stats->cut_short)
        message("%s: was truncated while it was read", stats->name);
    else if (stats->out_of_memory)
        message("%s: not enough memory to count it", stats->name);
    else if (stats->output.error != 0 && stats->output.error != EPIPE)
        message("%s: cannot be written: %s", output_options_name(&stats->arguments->output),
                strerror(stats->output.error));
    else if (stats->reader.damaged)
        message("%s: is damaged: its cursors make no sense; what could be read was counted", stats->name);
    else if (stats->output.error != 0 ||
             !missing_report(stats->trace, &stats->arguments->filter, stats->found, stats->name))
        return STATUS_DONE;
    return STATUS_FAILED;
}

static int run(const struct arguments *arguments, const char *name, struct trace *trace, int fd, bool replaces)
{
    static struct stats stats; /* too large for a stack */
    stats.arguments = arguments;
    stats.trace = trace;
    stats.name = name;
    stats.fd = fd;
    reader_init(&stats.reader, trace, READER_OLDEST);
    totals_init(&stats.totals, trace, &stats.processes);
    event_maker_init(&stats.maker, trace, &stats.processes);
    stats.progress_wanted = arguments->interval == 0 && isatty(STDERR_FILENO);
    progress_begin(&stats.progress);
    count_and_print(&stats, replaces);
    if (stats.progress_wanted)
        progress_end(&stats.progress);
    int status = judge(&stats);
    if (status == STATUS_DONE && stats.output.error == 0)
        missing_report_processes(trace, &stats.processes, name);
    totals_free(&stats.totals);
    process_list_free(&stats.processes);
    reader_free(&stats.reader);
    return status;
}

int command_stats(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json", "prometheus", NULL};
    static const struct argp argp = {
        options,
        take_option,
        NULL,
        "Print what a trace adds up to: a table of connections, totals for each process and peer, distributions of "
        "sizes and times, causes of disconnects.\v"
        "A connection's PID is that of the process that received on it last. BY tells who ended it first. What was "
        "only looked at (MSG_PEEK) does not count as received.\n\n"
        "An END of ? may be among the records that were lost, or that a filter leaves out.\n\n"
        "Exit status: 0; 1 if the trace could not be read, has no event of a connection that was asked for, or the "
        "output could not be written; 2 for wrong usage.",
        children,
        NULL,
        NULL};
    struct arguments arguments = {
        .source = {.command = "stats"},
        .output = {.what = "statistics", .standard_name = "stdout", .standard = STDOUT_FILENO, .formats = formats}};
    filter_init(&arguments.filter, clock_read(CLOCK_REALTIME));
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);

    struct trace trace;
    const char *name = source_options_name(&arguments.source);
    int fd = STDOUT_FILENO;
    bool replaces = arguments.output.path != NULL && replace_possible(arguments.output.path) &&
                    strcmp(output_options_format(&arguments.output), "prometheus") == 0;
    if (!options_open(&arguments.source, arguments.interval != 0 ? TRACE_REPAIR : TRACE_READ, &trace,
                      replaces ? NULL : &arguments.output, &fd))
        return STATUS_FAILED;
    stop_begin(arguments.interval != 0);
    int status = run(&arguments, name, &trace, fd, replaces);
    trace_close(&trace);
    if (fd != STDOUT_FILENO)
        close(fd);
    return status;
}
