/* recvshim show: print a trace. */
#include "command.h"
#include "feed.h"
#include "message.h"
#include "progress.h"
#include "trace/clock.h"
#include "trace/locate.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

struct arguments {
    const char *path; /* of the trace; NULL with pid */
    pid_t pid;        /* 0: path */
    const struct format *format;
    const char *output; /* NULL: stdout */
    const char *colour;
    bool follow;
    struct filter filter;
    char name[64]; /* what the trace is called in messages, with pid */
};

enum {
    KEY_FORMAT = 256,
    KEY_COLOR,
    KEY_EVENT,
    KEY_CALL,
    KEY_PID,
    KEY_FD,
    KEY_PEER,
    KEY_CONNECTION,
    KEY_SINCE,
    KEY_UNTIL
};

static const struct argp_option options[] = {
    {"process", 'p', "PID", 0, "Print the trace that process PID has mapped", 1},
    {"follow", 'f', NULL, 0, "Go on as the trace grows, until nobody writes it any more", 1},
    {"format", KEY_FORMAT, "FORMAT", 0, "text (the default), json, csv or chrome", 2},
    {"output", 'o', "FILE", 0, "Write the events there instead of to stdout", 2},
    {"color", KEY_COLOR, "WHEN", 0, "Colour: auto (the default), always or never", 2},
    {NULL, 0, NULL, 0, "Print only these events:", 3},
    {"event", KEY_EVENT, "LIST", 0, "Of these kinds: receive, disconnect, ...", 3},
    {"call", KEY_CALL, "LIST", 0, "Of these calls: recv, recvfrom", 3},
    {"pid", KEY_PID, "LIST", 0, "Of these processes", 3},
    {"fd", KEY_FD, "LIST", 0, "On these descriptors", 3},
    {"peer", KEY_PEER, "ADDRESS[/BITS]", 0, "From this peer: IPv4, IPv6, or a unix socket's path", 3},
    {"connection", KEY_CONNECTION, "LIST", 0, "On these connections", 3},
    {"since", KEY_SINCE, "TIME", 0, "Not before: HH:MM:SS, an ISO 8601 time, @SECONDS, or -5m", 3},
    {"until", KEY_UNTIL, "TIME", 0, "Not after", 3},
    {0},
};

static void take_filter(struct argp_state *state, const char *name, const char *value)
{
    struct arguments *arguments = state->input;
    const char *accepted = filter_parse(&arguments->filter, name, value);
    if (accepted != NULL)
        message_usage("--%s=%s: must be %s", name, value, accepted);
}

static pid_t parse_pid(const char *value)
{
    char *end;
    errno = 0;
    long pid = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || pid <= 0 || pid > INT_MAX)
        message_usage("-p %s: must be the id of a process", value);
    return (pid_t)pid;
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    bool wanted;
    switch (key) {
    case 'p':
        arguments->pid = parse_pid(value);
        return 0;
    case 'f':
        arguments->follow = true;
        return 0;
    case 'o':
        arguments->output = value;
        return 0;
    case KEY_FORMAT:
        arguments->format = format_find(value, FORMATS);
        if (arguments->format == NULL)
            message_usage("--format=%s: must be text, json, csv or chrome", value);
        return 0;
    case KEY_COLOR:
        arguments->colour = value;
        if (!colour_wanted(value, STDOUT_FILENO, &wanted))
            message_usage("--color=%s: must be auto, always or never", value);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->path != NULL)
            message_usage("show: %s: one trace at a time", value);
        arguments->path = value;
        return 0;
    case ARGP_KEY_END:
        if ((arguments->path == NULL) == (arguments->pid == 0))
            message_usage("show: give a TRACE, or -p PID; see recvshim show --help");
        return 0;
    default:
        if (key < KEY_EVENT || key > KEY_UNTIL)
            return ARGP_ERR_UNKNOWN;
        for (const struct argp_option *option = options; option->name != NULL || option->doc != NULL; option++)
            if (option->key == key)
                take_filter(state, option->name, value);
        return 0;
    }
}

static volatile sig_atomic_t stopped;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* A trace that may not be written can still be read; its dead slots then stay as they are. */
static struct trace_error open_trace(const struct arguments *arguments, struct trace *trace)
{
    struct trace_error error;
    enum trace_access access = arguments->follow ? TRACE_REPAIR : TRACE_READ;
    for (;; access = TRACE_READ) {
        error = arguments->pid != 0 ? locate_open(arguments->pid, access, trace)
                                    : trace_open(arguments->path, access, trace);
        if (error.what == NULL || access == TRACE_READ)
            return error;
    }
}

/* Print until the end, or what is the end for now. Returns whether the trace may still be written. */
static bool print_all(struct feed *feed, bool follow)
{
    for (;;) {
        bool written = trace_is_written(feed->trace); /* asked first: what came before is then in the cycle */
        bool last = !follow || !written || stopped;
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
    if (feed->cut_short)
        message("%s: was truncated while it was read", name);
    else if (feed->out_of_memory)
        message("%s: not enough memory to read it", name);
    else if (feed->output.error != 0 && feed->output.error != EPIPE)
        message("%s: cannot be written: %s", output, strerror(feed->output.error));
    else if (feed->reader.damaged)
        message("%s: is damaged: its cursors make no sense; what could be read was printed", name);
    else
        return STATUS_DONE; /* also with EPIPE: whoever read has seen enough, as head does */
    return STATUS_FAILED;
}

static int show(const struct arguments *arguments, const char *name, struct trace *trace, int fd)
{
    static struct feed feed; /* too large for a stack */
    struct progress progress;
    feed_init(&feed, trace, READER_OLDEST, fd, arguments->format);
    feed.filter = arguments->filter;
    colour_wanted(arguments->colour, fd, &feed.printer.colour);
    if (!arguments->follow && progress_wanted(fd)) { /* what grows has no end to be a part of */
        progress_begin(&progress);
        feed.progress = progress_update;
        feed.progress_context = &progress;
    }

    feed_begin(&feed);
    bool written = print_all(&feed, arguments->follow);
    feed_end(&feed);
    if (feed.progress != NULL)
        progress_end(&progress);
    int status = judge(&feed, name, arguments->output != NULL ? arguments->output : "stdout");
    if (status == STATUS_DONE && feed.output.error == 0)
        feed_report_losses(&feed, name, written);
    feed_free(&feed);
    return status;
}

int command_show(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        take_option,
        "TRACE\n-p PID",
        "Print the events of a trace in the order of time.\v"
        "Exit status: 0; 1 if the trace could not be read, or the output not be written; 2 for wrong usage.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {.format = &format_text, .colour = "auto"};
    filter_init(&arguments.filter, clock_read(CLOCK_REALTIME));
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);

    struct trace trace;
    snprintf(arguments.name, sizeof arguments.name, "process %d", (int)arguments.pid);
    const char *name = arguments.pid != 0 ? arguments.name : arguments.path;
    struct trace_error error = open_trace(&arguments, &trace);
    if (error.what != NULL) {
        message_trace_error(name, error);
        return STATUS_FAILED;
    }
    int fd = STDOUT_FILENO;
    if (arguments.output != NULL)
        error = output_open(arguments.output, &trace, &fd);
    if (error.what != NULL) {
        message_trace_error(arguments.output, error);
        trace_close(&trace);
        return STATUS_FAILED;
    }

    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    if (arguments.follow) {
        /* The second one kills, should the output be waiting for its reader. */
        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
    }
    int status = show(&arguments, name, &trace, fd);
    trace_close(&trace);
    if (fd != STDOUT_FILENO)
        close(fd);
    return status;
}
