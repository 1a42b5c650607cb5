/* recvshim show: print a trace. */
#include "command.h"
#include "fault_list.h"
#include "feed.h"
#include "guard.h"
#include "message.h"
#include "missing.h"
#include "options.h"
#include "progress.h"
#include "stop.h"
#include "story.h"
#include "trace/clock.h"
#include "trace/control_page.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

struct arguments {
    struct source_options source;
    struct output_options output;
    struct filter filter;
    bool follow;
};

static const struct argp_option options[] = {
    {"follow", 'f', NULL, 0, "Go on as the trace grows, until nobody writes it any more", 0},
    {0},
};

static const struct argp_child children[] = {
    {&source_argp, 0, NULL, 0},
    {&output_argp, 0, "", 1},
    {&filter_argp, 0, "Print only these events:", 2},
    {0},
};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t take_option(int key, char *value, struct argp_state *state)
{
    (void)value;
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->source;
        state->child_inputs[1] = &arguments->output;
        state->child_inputs[2] = &arguments->filter;
        return 0;
    case 'f':
        arguments->follow = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Print until the end, or what is the end for now. Returns whether the trace may still be written. */
static bool print_all(struct feed *feed, bool follow)
{
    for (;;) {
        bool written = trace_is_written(feed->trace); /* asked first: what came before is then in the cycle */
        bool last = !follow || !written || stop_requested;
        if (!feed_cycle(feed, !last) || last)
            return written;
        /* Ends the sleep once the output's reader is gone, as of `show --follow | head'. */
        struct pollfd reader = {.fd = feed->output.fd};
        if (poll(&reader, 1, POLL_MS) > 0) {
            feed->output.error = EPIPE;
            return written;
        }
    }
}

static int judge(const struct feed *feed, const char *name, const char *output)
{
    const struct fault_list *faults = feed->printer.faults;
    if (feed->cut_short)
        message("%s: was truncated while it was read", name);
    else if (feed->out_of_memory || (faults != NULL && faults->out_of_memory))
        message("%s: not enough memory to read it", name);
    else if (feed->output.error != 0 && feed->output.error != EPIPE)
        message("%s: cannot be written: %s", output, strerror(feed->output.error));
    else if (feed->reader.damaged)
        message("%s: is damaged: its cursors make no sense; what could be read was printed", name);
    else
        return STATUS_DONE; /* also with EPIPE: whoever read has seen enough, as head does */
    return STATUS_FAILED;
}

struct heading {
    const struct trace *trace;
    struct fault_list *faults;
};

static void read_heading(void *context)
{
    const struct heading *heading = context;
    static struct control_page page; /* too large for a stack */
    control_page_read(heading->trace, &page);
    heading->faults->set_anew = page.generation != 0;
    heading->faults->unrecorded = !page.tracing || (page.events >> RECVSHIM_EVENT_FAULT & 1U) == 0;
}

/* What a list of faults begins with. */
static void complete_faults(const struct feed *feed, bool written, struct fault_list *faults)
{
    struct heading heading = {feed->trace, faults};
    faults->seed = feed->trace->header.seed;
    faults->lost = feed_lost(feed, written);
    guard_run(feed->trace, read_heading, &heading);
}

/* What a person should know of a list of faults. Returns false where it is not what it should be. */
static bool report_faults(const struct fault_list *faults, const char *name)
{
    if (faults->lost != 0)
        message("%s: the rules are incomplete: there may be faults among the lost events", name);
    if (faults->unrecorded)
        message("%s: the rules may be incomplete: tracing is off, or `fault' is none of the events recorded", name);
    if (faults->contrary != 0)
        message("%s: %zu receive%s had other faults than in an earlier run; choose one run by --pid, or by --since and "
                "--until",
                name, faults->contrary, faults->contrary == 1 ? "" : "s");
    if (faults->rule_count > RECVSHIM_MAX_RULES)
        message("%s: %zu rules, and recvshim takes %u at once; choose by --connection, --pid, --since or --until", name,
                faults->rule_count, RECVSHIM_MAX_RULES);
    if (faults->senseless != 0)
        message("%s: is damaged: %zu of its faults make no sense, and were left out", name, faults->senseless);
    return faults->senseless == 0;
}

static int show(const struct arguments *arguments, const char *name, struct trace *trace, int fd)
{
    static struct feed feed; /* too large for a stack */
    struct progress progress;
    struct story story;
    struct fault_list faults = {0};
    feed_init(&feed, trace, READER_OLDEST, fd, format_find(output_options_format(&arguments->output)));
    feed.filter = arguments->filter;
    feed.printer.colour = output_options_colour(&arguments->output, fd);
    if (filter_is_one_connection(&arguments->filter)) {
        story_begin(&story, arguments->filter.connections.items[0]);
        feed.printer.story = &story;
    }
    if (feed.printer.format == &format_faults)
        feed.printer.faults = &faults;
    if (!arguments->follow && progress_wanted(fd)) { /* what grows has no end to be a part of */
        progress_begin(&progress);
        feed.progress = progress_update;
        feed.progress_context = &progress;
    }

    feed_begin(&feed);
    bool written = print_all(&feed, arguments->follow);
    if (feed.printer.faults != NULL)
        complete_faults(&feed, written, &faults);
    feed_end(&feed);
    if (feed.progress != NULL)
        progress_end(&progress);
    int status = judge(&feed, name, output_options_name(&arguments->output));
    if (status == STATUS_DONE && feed.output.error == 0) {
        feed_report_losses(&feed, name, written);
        missing_report_processes(trace, &feed.processes, name);
        if (feed_report_missing(&feed, name) || !report_faults(&faults, name))
            status = STATUS_FAILED;
    }
    fault_list_free(&faults);
    feed_free(&feed);
    return status;
}

int command_show(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json", "csv", "chrome", "faults", NULL};
    static const struct argp argp = {
        options,
        take_option,
        NULL,
        "Print the events of a trace in the order of time.\v"
        "With `--connection N' as the only filter, the lines of text also tell the time since the connection's first "
        "event, and a last line sums the connection up. Its number is in the JSON and CSV of each of its events.\n\n"
        "`--format faults' prints the faults that were injected, and nothing else, as rules that inject the same once "
        "more: for RECVSHIM_FAULT, or --fault of run and control.\n\n"
        "Exit status: 0; 1 if the trace could not be read, has no event of a connection that was asked for, or the "
        "output could not be written; 2 for wrong usage.",
        children,
        NULL,
        NULL};
    struct arguments arguments = {
        .source = {.command = "show"},
        .output = {.what = "events", .standard_name = "stdout", .standard = STDOUT_FILENO, .formats = formats}};
    filter_init(&arguments.filter, clock_read(CLOCK_REALTIME));
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);

    struct trace trace;
    const char *name = source_options_name(&arguments.source);
    int fd;
    if (!options_open(&arguments.source, arguments.follow ? TRACE_REPAIR : TRACE_READ, &trace, &arguments.output, &fd))
        return STATUS_FAILED;
    stop_begin(arguments.follow);
    int status = show(&arguments, name, &trace, fd);
    trace_close(&trace);
    if (fd != STDOUT_FILENO)
        close(fd);
    return status;
}
