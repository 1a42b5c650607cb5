/* recvshim check: say whether a program can be traced, and what would be missed. */
#include "check.h"

#include "command.h"
#include "guard.h"
#include "library.h"
#include "message.h"
#include "options.h"
#include "preload/settings.h"
#include "stop.h"
#include "trace/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    const char *program; /* NULL: the process */
    pid_t pid;
    struct output_options output;
};

static const struct argp_option options[] = {
    {"process", 'p', "PID", 0, "Look at a process that runs: whether the library is in it, and if not, why", 0},
    {0},
};

static const struct argp_child children[] = {{&output_argp, 0, NULL, 1}, {0}};

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->output;
        return 0;
    case 'p':
        arguments->pid = options_pid(value);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->program != NULL)
            message_usage("check: %s: one program at a time", value);
        arguments->program = value;
        return 0;
    case ARGP_KEY_END:
        if ((arguments->program == NULL) == (arguments->pid == 0))
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

/* Other loaders look elsewhere. */
static bool is_worth_walking(const struct inspection *inspection)
{
    const struct object *object = &inspection->object;
    return object->type == OBJECT_LIBRARY || (object->type == OBJECT_PROGRAM && object_is_glibc_loader(object->loader));
}

/* Returns false where nothing can be said; a message then tells why. */
static bool look_at_program(struct check *check)
{
    struct own_library library;
    if (!library_find(&library)) {
        message("%s: the library is not there, and nothing can be traced; set RECVSHIM_LIBRARY to its path",
                library.path);
        return false;
    }
    const struct inspection *inspection = &check->inspection;
    inspect_program(check->name, &check->inspection);
    if (say_why_not(check->name, inspection))
        return false;
    const struct library_places places = {.search = inspection->privileges.gained ? NULL : getenv("LD_LIBRARY_PATH"),
                                          .cache = LIBRARIES_CACHE};
    if (is_worth_walking(inspection))
        libraries_walk(&check->libraries, inspection->resolution.path, &places);
    return true;
}

struct switches {
    const struct trace *trace;
    struct check_trace *found;
};

static void read_switches(void *context)
{
    const struct switches *switches = context;
    switches->found->tracing = atomic_load_explicit(&switches->trace->control->tracing, memory_order_relaxed) != 0;
}

static void look_at_trace(pid_t pid, struct check_trace *found)
{
    struct trace trace;
    struct trace_error error = locate_open(pid, TRACE_READ, &trace);
    found->problem = error.what;
    if (error.what != NULL)
        return;
    struct switches switches = {&trace, found};
    found->there = guard_run(&trace, read_switches, &switches);
    locate_name(pid, &trace, found->name);
    trace_close(&trace);
}

static bool look_at_process(struct check *check, pid_t pid)
{
    static struct running running; /* too large for a stack */
    static char name[128];
    int error;
    const char *problem = running_look(pid, &running, &error);
    if (problem != NULL) {
        snprintf(name, sizeof name, "process %d", (int)pid);
        if ((error == EACCES || error == EPERM) && geteuid() != 0)
            message("%s: %s: %s; check it as root, or as the user that it belongs to", name, problem, strerror(error));
        else
            message_trace_error(name, (struct trace_error){problem, error});
        return false;
    }
    snprintf(name, sizeof name, "process %d (%s)", (int)pid, running.comm);
    check->name = name;
    check->running = &running;
    if (running.chosen == ANSWER_YES)
        check->handled = running.calls;
    running_inspect(&running, &check->inspection);
    running_libraries(&running, &check->libraries);
    look_at_trace(pid, &check->trace);
    return true;
}

bool check_is_good(const struct check *check)
{
    return check->inspection.verdict == INSPECT_TRACEABLE || check->inspection.verdict == INSPECT_LIBRARY;
}

static int print(const struct check *check, const struct output_options *wanted)
{
    static struct output output; /* too large for a stack */
    int fd;
    struct trace_error error = output_options_open(wanted, NULL, &fd);
    if (error.what != NULL) {
        message_trace_error(output_options_name(wanted), error);
        return STATUS_FAILED;
    }
    output_init(&output, fd);
    if (strcmp(output_options_format(wanted), "json") == 0)
        check_json(check, &output);
    else
        check_text(check, &output, output_options_colour(wanted, fd));
    output_flush(&output);
    if (fd != wanted->standard)
        close(fd);
    if (output.error != 0 && output.error != EPIPE) {
        message("%s: cannot be written: %s", output_options_name(wanted), strerror(output.error));
        return STATUS_FAILED;
    }
    return check_is_good(check) ? STATUS_DONE : STATUS_FAILED;
}

int command_check(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json", NULL};
    static const struct argp argp = {
        options,
        take_option,
        "PROGRAM\n-p PID",
        "Say whether a program can be traced, by which calls it and its libraries may receive, and what would be "
        "missed. Nothing is executed.\v"
        "Exit status: 0; 1 if the program cannot be traced, or the process is not, or either cannot be looked at; 2 "
        "for wrong usage.",
        children,
        NULL,
        NULL};
    static struct arguments arguments = {
        .output = {.what = "answer", .standard_name = "stdout", .standard = STDOUT_FILENO, .formats = formats}};
    static struct check check; /* too large for a stack */
    static const struct settings defaults = SETTINGS_DEFAULT;
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    stop_begin(false);

    check.name = arguments.program;
    check.handled = defaults.calls;
    libraries_begin(&check.libraries);
    bool looked = arguments.program != NULL ? look_at_program(&check) : look_at_process(&check, arguments.pid);
    /* What would be missing in the answer may be what receives. */
    if (check.libraries.out_of_memory)
        message("%s: not enough memory to look at its libraries", check.name);
    int status = looked && !check.libraries.out_of_memory ? print(&check, &arguments.output) : STATUS_FAILED;
    libraries_free(&check.libraries);
    inspect_free(&check.inspection);
    return status;
}
