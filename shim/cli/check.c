/* recvshim check: say whether a program can be traced, and what would be missed. */
#include "check.h"

#include "command.h"
#include "message.h"
#include "options.h"
#include "preload/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOADER_CACHE "/etc/ld.so.cache"

struct arguments {
    const char *program;
    struct output_options output;
};

static const struct argp_child children[] = {{&output_argp, 0, NULL, 1}, {0}};

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->output;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->program != NULL)
            message_usage("check: %s: one program at a time", value);
        arguments->program = value;
        return 0;
    case ARGP_KEY_END:
        if (arguments->program == NULL)
            message_usage("check: give a PROGRAM, or -p PID; see recvshim check --help");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Nothing of such a program can be looked at. */
static bool say_why_not(const char *name, const struct inspection *inspection)
{
    const struct resolution *resolution = &inspection->resolution;
    name = message_name(name);
    if (resolution->result == RESOLVE_NOT_FOUND)
        message("%s: no such program, or it may not be executed", name);
    else if (resolution->result == RESOLVE_NO_INTERPRETER)
        message("%s: cannot be run: its interpreter '%s' is not there; mend its first line", name, resolution->path);
    else if (resolution->result == RESOLVE_TOO_DEEP)
        message("%s: cannot be run: its interpreters are scripts, one of the other; mend its first line", name);
    else if (resolution->result == RESOLVE_UNREADABLE)
        message("%s: cannot be read: %s; check it as a user who may read %s", name, strerror(resolution->error),
                resolution->path);
    else
        return false;
    return true;
}

static bool is_worth_walking(const struct inspection *inspection)
{
    return inspection->object.type == OBJECT_PROGRAM || inspection->object.type == OBJECT_LIBRARY;
}

static void look(struct check *check)
{
    const struct inspection *inspection = &check->inspection;
    const struct library_places places = {.search = inspection->privileges.gained ? NULL : getenv("LD_LIBRARY_PATH"),
                                          .cache = LOADER_CACHE};
    libraries_begin(&check->libraries);
    if (is_worth_walking(inspection))
        libraries_walk(&check->libraries, inspection->resolution.path, &places);
}

static int print(const struct check *check, const struct output_options *options)
{
    static struct output output; /* too large for a stack */
    int fd;
    struct trace_error error = output_options_open(options, NULL, &fd);
    if (error.what != NULL) {
        message_trace_error(output_options_name(options), error);
        return STATUS_FAILED;
    }
    output_init(&output, fd);
    if (strcmp(output_options_format(options), "json") == 0)
        check_json(check, &output);
    else
        check_text(check, &output, output_options_colour(options, fd));
    output_flush(&output);
    if (fd != options->standard)
        close(fd);
    if (output.error != 0 && output.error != EPIPE) {
        message("%s: cannot be written: %s", output_options_name(options), strerror(output.error));
        return STATUS_FAILED;
    }
    bool good = check->inspection.verdict == INSPECT_TRACEABLE || check->inspection.verdict == INSPECT_LIBRARY;
    return good ? STATUS_DONE : STATUS_FAILED;
}

int command_check(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json", NULL};
    static const struct argp argp = {
        NULL,
        take_option,
        "PROGRAM",
        "Say whether a program can be traced, by which calls it and its libraries may receive, and what would be "
        "missed. Nothing is executed.\v"
        "Exit status: 0; 1 if it cannot be traced, or not be looked at; 2 for wrong usage.",
        children,
        NULL,
        NULL};
    static struct arguments arguments = {
        .output = {.what = "answer", .standard_name = "stdout", .standard = STDOUT_FILENO, .formats = formats}};
    static struct check check; /* too large for a stack */
    static const struct settings defaults = SETTINGS_DEFAULT;
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);

    check.name = arguments.program;
    check.handled = defaults.calls;
    inspect_program(arguments.program, &check.inspection);
    if (say_why_not(arguments.program, &check.inspection))
        return STATUS_FAILED;
    look(&check);
    int status = print(&check, &arguments.output);
    libraries_free(&check.libraries);
    inspect_free(&check.inspection);
    return status;
}
