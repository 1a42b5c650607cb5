/* recvshim control: switch tracing and faults in running programs. */
#include "command.h"
#include "control_state.h"
#include "fault_options.h"
#include "guard.h"
#include "message.h"
#include "missing.h"
#include "options.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    struct source_options source;
    struct output_options output;
    struct fault_options faults;
    const char *tracing; /* "on", "off"; NULL: as it is */
    bool clear;
};

enum { KEY_TRACING = 256, KEY_CLEAR };

static const struct argp_option options[] = {
    {"tracing", KEY_TRACING, "SWITCH", 0, "Record events: on, off", 2},
    {"clear-faults", KEY_CLEAR, NULL, 0, "Inject no faults, whatever rules the programs were started with", 4},
    {0},
};

static const struct argp_child children[] = {
    {&source_argp, 0, NULL, 0},
    {&output_argp, 0, "", 1},
    {&fault_argp, 0, "", 3},
    {0},
};

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->source;
        state->child_inputs[1] = &arguments->output;
        state->child_inputs[2] = &arguments->faults;
        return 0;
    case KEY_TRACING:
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
            message_usage("--tracing=%s: must be on or off", value);
        arguments->tracing = value;
        return 0;
    case KEY_CLEAR:
        arguments->clear = true;
        return 0;
    case ARGP_KEY_END:
        if (arguments->clear && arguments->faults.given)
            message_usage("control: give --fault or --clear-faults: --fault alone replaces the rules");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool changes_rules(const struct arguments *arguments)
{
    return arguments->faults.given || arguments->clear;
}

static bool changes(const struct arguments *arguments)
{
    return changes_rules(arguments) || arguments->tracing != NULL;
}

/* ---- the change ---- */

struct change {
    const struct arguments *arguments;
    const struct trace *trace;
};

static void do_change(void *context)
{
    const struct change *change = context;
    const struct arguments *arguments = change->arguments;
    /* First: what new rules inject is then recorded. */
    if (arguments->tracing != NULL)
        control_page_set_tracing(change->trace, strcmp(arguments->tracing, "on") == 0);
    if (changes_rules(arguments))
        control_page_set_rules(change->trace, &arguments->faults.rules); /* none, to clear them */
}

static bool say_cut_short(const char *name)
{
    message("%s: was truncated meanwhile", name);
    return false;
}

static bool apply(const struct arguments *arguments, const struct trace *trace, const char *name)
{
    struct trace_error error = control_page_lock(trace, false);
    if (error.error == EAGAIN || error.error == EACCES) {
        message("%s: another recvshim control is changing it; waiting for its end", name);
        error = control_page_lock(trace, true);
    }
    if (error.what != NULL) {
        message_trace_error(name, error);
        return false;
    }
    struct change change = {arguments, trace};
    return guard_run(trace, do_change, &change) || say_cut_short(name);
}

/* ---- what then holds ---- */

/* In one line. */
static void print_change(const struct arguments *arguments, const struct control_state *state, struct output *output)
{
    uint32_t count = arguments->faults.rules.count;
    if (arguments->tracing != NULL)
        output_print(output, "tracing is %s%s", arguments->tracing, changes_rules(arguments) ? ", and " : "");
    if (changes_rules(arguments) && count == 0)
        output_print(output, "faults are off");
    else if (changes_rules(arguments))
        output_print(output, "%u %s", count, count == 1 ? "rule holds" : "rules hold");
    output_print(output, " in every process that has the trace mapped");
    if (!state->written)
        output_print(output, " (none at the moment)");
    else if (state->known && state->running.count > 0)
        output_print(output, " (%zu running)", state->running.count);
    output_print(output, "\n");
}

static int print(const struct arguments *arguments, const struct trace *trace, const char *name, int fd)
{
    static struct output output; /* too large for a stack, both of them */
    static struct control_state state;
    bool cut_short;
    if (!control_state_look(&state, trace, &cut_short)) {
        if (cut_short)
            say_cut_short(name);
        else
            message("%s: not enough memory to look at it", name);
        control_state_free(&state);
        return STATUS_FAILED;
    }
    output_init(&output, fd);
    if (strcmp(output_options_format(&arguments->output), "json") == 0)
        control_state_json(&state, &output);
    else if (changes(arguments))
        print_change(arguments, &state, &output);
    else
        control_state_text(&state, &output, output_options_colour(&arguments->output, fd));
    output_flush(&output);

    int status = STATUS_DONE;
    if (!changes(arguments) && state.known && state.written)
        missing_report_processes(trace, &state.running, name);
    if (output.error != 0 && output.error != EPIPE) {
        message("%s: cannot be written: %s", output_options_name(&arguments->output), strerror(output.error));
        status = STATUS_FAILED;
    }
    if (state.damaged) {
        message("%s: its rules are damaged; set them again with --fault, or give --clear-faults", name);
        status = STATUS_FAILED;
    }
    control_state_free(&state);
    return status;
}

int command_control(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json", NULL};
    static const struct argp argp = {
        options,
        take_option,
        NULL,
        "Switch tracing and faults in running programs: in every process that has the trace mapped, at its next call, "
        "and in those that join it later. Without an option show what holds now, how often each rule has injected its "
        "fault, and who has the trace mapped.\v"
        "The rules of --fault, together, replace those that hold: in every process, whatever rules it was started "
        "with. All that rules count begins anew, also where they are the same as before.\n\n"
        "Exit status: 0; 1 if the trace could not be read or changed, or is damaged; 2 for wrong usage.",
        children,
        NULL,
        NULL};
    static struct arguments arguments = {
        .source = {.command = "control"},
        .output = {.what = "state", .standard_name = "stdout", .standard = STDOUT_FILENO, .formats = formats}};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);

    struct trace trace;
    const char *name = source_options_name(&arguments.source);
    int fd;
    enum trace_access access = changes(&arguments) ? TRACE_CONTROL : TRACE_READ;
    if (!options_open(&arguments.source, access, &trace, &arguments.output, &fd))
        return STATUS_FAILED;
    stop_begin(false);
    bool applied = !changes(&arguments) || apply(&arguments, &trace, name);
    int status = applied ? print(&arguments, &trace, name, fd) : STATUS_FAILED;
    trace_close(&trace);
    if (fd != STDOUT_FILENO)
        close(fd);
    return status;
}
