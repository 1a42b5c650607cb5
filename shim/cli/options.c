#include "options.h"

#include "message.h"
#include "output.h"
#include "trace/locate.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FORMAT = 256, KEY_COLOR, KEY_FILTER };

static const struct argp_option output_rows[] = {
    {"format", KEY_FORMAT, "FORMAT", 0, "", 0}, /* its text depends on the subcommand, and so does the next one's */
    {"output", 'o', "FILE", 0, "", 0},
    {"color", KEY_COLOR, "WHEN", 0, "Colour: auto (the default), always or never", 0},
    {0},
};

/* The formats as a sentence lists them, with `remark` after the first. */
static void list_formats(const struct output_options *options, const char *remark, char list[128])
{
    size_t length = (size_t)snprintf(list, 128, "%s%s", options->formats[0], remark);
    for (size_t i = 1; options->formats[i] != NULL; i++)
        length += (size_t)snprintf(list + length, 128 - length, "%s%s", options->formats[i + 1] != NULL ? ", " : " or ",
                                   options->formats[i]);
}

/* argp frees what it is given here, unless it is `text` itself. */
static char *explain_output(int key, const char *text, void *input)
{
    const struct output_options *options = input;
    char *explained = NULL, list[128];
    if (key == KEY_FORMAT) {
        list_formats(options, " (the default)", list);
        explained = strdup(list);
    } else if (key == 'o' &&
               asprintf(&explained, "Write the %s there instead of to %s", options->what, options->standard_name) < 0) {
        explained = NULL;
    }
    return explained != NULL ? explained : (char *)(uintptr_t)text;
}

static void take_format(struct output_options *options, const char *value)
{
    char list[128];
    for (size_t i = 0; options->formats[i] != NULL; i++) {
        if (strcmp(options->formats[i], value) == 0) {
            options->format = value;
            return;
        }
    }
    list_formats(options, "", list);
    message_usage("--format=%s: must be %s", value, list);
}

static error_t take_output(int key, char *value, struct argp_state *state)
{
    struct output_options *options = state->input;
    switch (key) {
    case 'o':
        options->path = value;
        return 0;
    case KEY_FORMAT:
        take_format(options, value);
        return 0;
    case KEY_COLOR:
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 && strcmp(value, "never") != 0)
            message_usage("--color=%s: must be auto, always or never", value);
        options->colour = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp output_argp = {output_rows, take_output, NULL, NULL, NULL, explain_output, NULL};

const char *output_options_format(const struct output_options *options)
{
    return options->format != NULL ? options->format : options->formats[0];
}

const char *output_options_name(const struct output_options *options)
{
    return options->path != NULL ? options->path : options->standard_name;
}

struct trace_error output_options_open(const struct output_options *options, const struct trace *trace, int *fd)
{
    if (options->path != NULL)
        return output_open(options->path, trace, fd);
    *fd = options->standard;
    return (struct trace_error){NULL, 0};
}

bool output_options_colour(const struct output_options *options, int fd)
{
    if (options->colour != NULL && strcmp(options->colour, "auto") != 0)
        return strcmp(options->colour, "always") == 0;
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fd) && (no_color == NULL || *no_color == '\0') && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static const struct argp_option source_rows[] = {
    {"process", 'p', "PID", 0, "The trace that process PID has mapped", 0},
    {0},
};

pid_t options_pid(const char *value)
{
    char *end;
    errno = 0;
    long pid = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || pid <= 0 || pid > INT_MAX)
        message_usage("-p %s: must be the id of a process", value);
    return (pid_t)pid;
}

static error_t take_source(int key, char *value, struct argp_state *state)
{
    struct source_options *options = state->input;
    switch (key) {
    case 'p':
        options->pid = options_pid(value);
        snprintf(options->pid_name, sizeof options->pid_name, "process %d", (int)options->pid);
        return 0;
    case ARGP_KEY_ARG:
        if (options->path != NULL)
            message_usage("%s: %s: one trace at a time", options->command, value);
        options->path = value;
        return 0;
    case ARGP_KEY_END:
        if ((options->path == NULL) == (options->pid == 0))
            message_usage("%s: give a TRACE, or -p PID; see recvshim %s --help", options->command, options->command);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp source_argp = {source_rows, take_source, "TRACE\n-p PID", NULL, NULL, NULL, NULL};

const char *source_options_name(const struct source_options *options)
{
    return options->pid != 0 ? options->pid_name : options->path;
}

static struct trace_error open_source(const struct source_options *options, enum trace_access access,
                                      struct trace *trace)
{
    struct trace_error error;
    for (;; access = TRACE_READ) {
        error = options->pid != 0 ? locate_open(options->pid, access, trace) : trace_open(options->path, access, trace);
        if (error.what == NULL || access == TRACE_READ || access == TRACE_CONTROL)
            return error;
    }
}

/* Who may change what this user may not: the owner of the file, or of the process. */
static void say_whose(const struct source_options *options, struct trace_error error)
{
    char process[64], number[24];
    struct stat file;
    snprintf(process, sizeof process, "/proc/%d", (int)options->pid);
    if (stat(options->pid != 0 ? process : options->path, &file) != 0) {
        message_trace_error(source_options_name(options), error);
        return;
    }
    const struct passwd *owner = getpwuid(file.st_uid);
    snprintf(number, sizeof number, "user %u", file.st_uid);
    if (options->pid != 0 && (file.st_uid == geteuid() || geteuid() == 0))
        message("%s: %s: %s", source_options_name(options), error.what, strerror(error.error));
    else if (file.st_uid == geteuid())
        message("%s: %s: %s; it is yours: give yourself the right to write it", source_options_name(options),
                error.what, strerror(error.error));
    else
        message("%s: %s: %s; it belongs to %s: run recvshim %s as that user", source_options_name(options), error.what,
                strerror(error.error), owner != NULL ? owner->pw_name : number, options->command);
}

bool options_open(const struct source_options *source, enum trace_access access, struct trace *trace,
                  const struct output_options *output, int *fd)
{
    struct trace_error error = open_source(source, access, trace);
    if (error.what != NULL) {
        if (access == TRACE_CONTROL && (error.error == EACCES || error.error == EPERM))
            say_whose(source, error);
        else
            message_trace_error(source_options_name(source), error);
        return false;
    }
    if (output == NULL)
        return true;
    error = output_options_open(output, trace, fd);
    if (error.what == NULL)
        return true;
    message_trace_error(output_options_name(output), error);
    trace_close(trace);
    return false;
}

static const struct argp_option filter_rows[] = {
    {"event", KEY_FILTER, "LIST", 0, "Of these kinds: receive, disconnect, ...", 0},
    {"call", KEY_FILTER + 1, "LIST", 0, "Receives by these calls: recv, recvfrom", 0},
    {"pid", KEY_FILTER + 2, "LIST", 0, "Of these processes", 0},
    {"fd", KEY_FILTER + 3, "LIST", 0, "On these descriptors", 0},
    {"peer", KEY_FILTER + 4, "ADDRESS[/BITS]", 0, "From or to this peer: IPv4, IPv6, or a unix socket's path", 0},
    {"connection", KEY_FILTER + 5, "LIST", 0, "On these connections", 0},
    {"since", KEY_FILTER + 6, "TIME", 0, "Not before: HH:MM:SS, an ISO 8601 time, @SECONDS, or -5m", 0},
    {"until", KEY_FILTER + 7, "TIME", 0, "Not after", 0},
    {0},
};
#define FILTER_ROWS ((int)(sizeof filter_rows / sizeof filter_rows[0]) - 1)

static error_t take_filter(int key, char *value, struct argp_state *state)
{
    if (key < KEY_FILTER || key >= KEY_FILTER + FILTER_ROWS)
        return ARGP_ERR_UNKNOWN;
    const char *name = filter_rows[key - KEY_FILTER].name;
    const char *accepted = filter_parse(state->input, name, value);
    if (accepted != NULL)
        message_usage("--%s=%s: must be %s", name, value, accepted);
    return 0;
}

const struct argp filter_argp = {filter_rows, take_filter, NULL, NULL, NULL, NULL, NULL};
