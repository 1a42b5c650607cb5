/* recvshim run: run a program under the shim and print its events as they happen. */
#include "chance.h"
#include "command.h"
#include "family.h"
#include "fault_options.h"
#include "feed.h"
#include "inspect.h"
#include "launch.h"
#include "library.h"
#include "message.h"
#include "options.h"
#include "overruled.h"
#include "preload/settings.h"
#include "remarks.h"
#include "trace/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define POLL_MS 20

struct arguments {
    char **command; /* with its arguments; NULL ends it */
    struct settings settings;
    struct fault_options faults;
    const char *trace; /* NULL: in memory, and gone in the end */
    struct output_options output;
    bool quiet;
    struct own_library library;
};

/* From KEY_SIZE on, an option is the variable of its name in capitals: --eintr sets RECVSHIM_EINTR. */
enum {
    KEY_TRACE = 256,
    KEY_SIZE,
    KEY_FULL,
    KEY_TRACING,
    KEY_EVENTS,
    KEY_DURATION,
    KEY_CALLS,
    KEY_EINTR,
    KEY_EINTR_PASS,
    KEY_SCOPE,
    KEY_LOOKUP,
    KEY_SEED
};

static const struct argp_child children[] = {{&output_argp, 0, NULL, 0}, {&fault_argp, 0, "", 4}, {0}};

static const struct argp_option options[] = {
    {"quiet", 'q', NULL, 0, "Print events only: no remarks on what could not be traced, or was lost", 1},
    {"trace", KEY_TRACE, "FILE", 0, "Keep the trace itself; an existing one is joined", 2},
    {"size", KEY_SIZE, "BYTES", 0, "Room for records, with K, M or G (16M)", 2},
    {"full", KEY_FULL, "WHAT", 0, "When it is used up: overwrite (the default), stop", 2},
    {"tracing", KEY_TRACING, "SWITCH", 0, "Recording starts switched on (the default) or off", 2},
    {"events", KEY_EVENTS, "LIST", 0, "Events to record: all, or a list (all but would-block)", 2},
    {"duration", KEY_DURATION, "SWITCH", 0, "Measure the time spent in each call: on, off (the default)", 2},
    {"calls", KEY_CALLS, "LIST", 0, "Calls to handle (recv,recvfrom)", 3},
    {"eintr", KEY_EINTR, "POLICY", 0,
     "Interrupted calls to retry: always (the default), intent (all but those by which programs stop or time out), "
     "restart (all but those by handlers without SA_RESTART), never",
     3},
    {"eintr-pass", KEY_EINTR_PASS, "SIGNALS", 0,
     "Signals whose interruptions always reach the program, as TERM,INT,ALRM (none)", 3},
    {"scope", KEY_SCOPE, "POLICY", 0, "IPv6 scope ids: canonical (the default), strip, kame, keep", 3},
    {"lookup", KEY_LOOKUP, "SWITCH", 0,
     "Ask the kernel for addresses and TCP's state: auto (the default: until a filter of seccomp is seen), on, off", 3},
    {"seed", KEY_SEED, "NUMBER", 0, "Seed of every random choice", 5},
    {0},
};

/* The variable that a setting is, as the library reads it from the environment. */
static void name_variable(const char *setting, char name[64])
{
    snprintf(name, 64, "%s%s", SETTINGS_PREFIX, setting);
}

static void take_setting(struct argp_state *state, const char *option, const char *value)
{
    struct arguments *arguments = state->input;
    char setting[32], name[64];
    size_t length = 0;
    for (; length < sizeof setting - 1 && option[length] != '\0'; length++)
        setting[length] = (char)(option[length] == '-' ? '_' : toupper((unsigned char)option[length]));
    setting[length] = '\0';
    const char *accepted = settings_parse(&arguments->settings, setting, value);
    if (accepted != NULL)
        message_usage("--%s=%s: must be %s", option, value, accepted);
    name_variable(setting, name);
    setenv(name, value, 1);
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->output;
        state->child_inputs[1] = &arguments->faults;
        return 0;
    case 'q':
        arguments->quiet = true;
        return 0;
    case KEY_TRACE:
        arguments->trace = value;
        return 0;
    case ARGP_KEY_ARGS:
        arguments->command = state->argv + state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        message_usage("run: give a COMMAND; see recvshim run --help");
        return 0;
    default:
        if (key < KEY_SIZE || key > KEY_SEED)
            return ARGP_ERR_UNKNOWN;
        for (const struct argp_option *option = options; option->name != NULL; option++)
            if (option->key == key)
                take_setting(state, option->name, value);
        return 0;
    }
}

/* Settings that come from the environment decide here as well: a trace is made with them. Those given as options stand
 * there by now; RECVSHIM_TRACE is this command's own to give. */
static bool take_environment(struct arguments *arguments)
{
    const char *setting;
    for (size_t index = 0; (setting = settings_name(index)) != NULL; index++) {
        char name[64];
        name_variable(setting, name);
        const char *value = getenv(name);
        if (strcmp(setting, "TRACE") == 0 || value == NULL || *value == '\0')
            continue;
        const char *accepted = settings_parse(&arguments->settings, setting, value);
        if (accepted != NULL) {
            message("%s=%s: must be %s", name, value, accepted);
            return false;
        }
    }
    return true;
}

/* The rules that the program gets, --fault's or the environment's: good by now. */
static void take_faults(struct arguments *arguments)
{
    char problem[FAULT_PROBLEM_MAX];
    if (arguments->settings.fault != NULL &&
        fault_rules_parse(arguments->settings.fault, &arguments->faults.rules, problem))
        arguments->settings.trace.faults = &arguments->faults.rules;
}

/* A rule of calls that are passed on would wait for ever. Says so, and returns false. */
static bool can_act(const struct fault_rules *rules, uint32_t handled)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        char text[FAULT_RULE_TEXT_MAX];
        if ((rules->rules[i].calls & handled) != 0)
            continue;
        fault_rule_text(&rules->rules[i], text);
        message("--fault: '%s' can never act: no call of it is handled; name one in --calls, or give --calls all",
                text);
        return false;
    }
    return true;
}

/* Memory that nobody can shrink, reached by the child through this process's descriptor. */
static struct trace_error open_memory(const struct arguments *arguments, struct trace *trace)
{
    /* All of it is allocated at once, and no file system sets a limit: tmpfs's default is this (tmpfs(5)). */
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (arguments->settings.trace.size > memory / 2)
        return (struct trace_error){
            "needs more than half of this machine's memory; give --size less, or --trace a file on "
            "a disk",
            0};
    int fd = memfd_create("recvshim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 && errno == ENOSYS)
        return (struct trace_error){"needs Linux 3.17; give --trace a file", 0};
    if (fd < 0)
        return (struct trace_error){"cannot be made", errno};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    struct trace_error error = trace_format(fd, &arguments->settings.trace);
    if (error.what == NULL && access(path, F_OK) != 0)
        error = (struct trace_error){"is reached through /proc, which is not mounted; give --trace a file", 0};
    if (error.what == NULL && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        error = (struct trace_error){"cannot be sealed", errno};
    if (error.what != NULL) {
        close(fd);
        return error;
    }
    setenv(SETTINGS_PREFIX "TRACE", path, 1);
    return trace_map(fd, TRACE_REPAIR, trace);
}

/* A file that is kept: made here, so that what is wrong with it is known before the program starts. */
static struct trace_error open_file(const struct arguments *arguments, struct trace *trace)
{
    struct trace_error error = trace_join(arguments->trace, &arguments->settings.trace, trace);
    if (error.what != NULL)
        return error;
    trace_close(trace);
    error = trace_open(arguments->trace, TRACE_REPAIR, trace);
    if (error.what != NULL)
        return error;

    char path[PATH_MAX], setting[2 * PATH_MAX];
    if (realpath(arguments->trace, path) == NULL) {
        trace_close(trace);
        return (struct trace_error){"cannot be named", errno};
    }
    char *to = setting;
    for (const char *from = path; *from != '\0'; from++) {
        if (*from == '%')
            *to++ = '%'; /* a percent sign begins what the library replaces */
        *to++ = *from;
    }
    *to = '\0';
    setenv(SETTINGS_PREFIX "TRACE", setting, 1);
    return error;
}

static void preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    char *list;
    if (others == NULL || *others == '\0') {
        setenv("LD_PRELOAD", library, 1);
    } else if (asprintf(&list, "%s:%s", library, others) > 0) {
        setenv("LD_PRELOAD", list, 1);
        free(list);
    }
}

static const char *trace_name(const struct arguments *arguments)
{
    return arguments->trace != NULL ? arguments->trace : "trace in memory";
}

static void say_why_feed_stopped(const struct arguments *arguments, const struct feed *feed)
{
    const char *trace = trace_name(arguments);
    if (feed->cut_short)
        message("%s: was truncated; the program goes on, and its events are no longer printed", trace);
    else if (feed->out_of_memory)
        message("%s: not enough memory to read it; the program goes on", trace);
    else
        message("%s: cannot be written: %s; the program goes on", output_options_name(&arguments->output),
                strerror(feed->output.error));
}

/* ENOENT may be meant for another file than the one that was named. */
static void say_why_not_started(const char *name, int failure, const struct inspection *inspection)
{
    if (failure != ENOENT || inspection->verdict == INSPECT_NOT_FOUND)
        message("%s: cannot be run: %s", name, strerror(failure));
    else if (inspection->verdict == INSPECT_NO_INTERPRETER)
        message("%s: cannot be run: its interpreter '%s' is not there; mend its first line", name,
                inspection->resolution.path);
    else
        message("%s: cannot be run: the loader that %s names is not there", name, inspection->resolution.path);
}

/* Print events until the program has ended, and what is left then. `chance` may be NULL. Returns the program's status.
 */
static int attend(const struct arguments *arguments, struct feed *feed, struct launch *launch,
                  const struct inspection *inspection, const struct chance *chance, const struct recording *recorded,
                  uint64_t started)
{
    static struct family family; /* too large for a stack */
    int status;
    char words[OVERRULED_WORDS_MAX];
    struct overruled overruled;
    bool feeding = true, ended = false, written = true, looking = overruled_begin(&overruled, feed->trace);
    family_begin(&family, feed->trace, &feed->processes, launch->pid, started, arguments->trace != NULL);
    feed->observe = family_observe;
    feed->observe_context = &family;
    while (!ended) {
        ended = launch_wait(launch, POLL_MS, &status);
        if (ended)
            written = trace_is_written(feed->trace);
        if (feeding && !feed_cycle(feed, !ended)) {
            say_why_feed_stopped(arguments, feed);
            feeding = false;
        }
        if (!arguments->quiet && !ended)
            family_look(&family);
        if (looking && !arguments->quiet && overruled_look(&overruled, feed->trace, clock_now(), words))
            message("%s: %s", arguments->command[0], words);
    }
    feed_end(feed);
    const struct remarks remarks = {.name = arguments->command[0],
                                    .trace_name = arguments->trace != NULL ? arguments->trace : arguments->command[0],
                                    .settings = &arguments->settings,
                                    .recorded = *recorded,
                                    .rules = &arguments->faults.rules,
                                    .feed = feed,
                                    .inspection = inspection,
                                    .overruled = &overruled,
                                    .chance = chance,
                                    .family = &family,
                                    .launch = launch,
                                    .started = started,
                                    .written = written};
    if (feeding && !arguments->quiet)
        remarks_say(&remarks);
    if (chance != NULL && !arguments->quiet)
        remarks_say_seed(&remarks);
    family_free(&family);
    return status;
}

static int run(const struct arguments *arguments, struct trace *trace, int fd)
{
    static struct feed feed; /* too large for a stack, both of them */
    static struct chance chance;
    bool counting = chance_begin(&chance, trace);
    feed_init(&feed, trace, READER_NOW, fd, format_find(output_options_format(&arguments->output)));
    feed.printer.colour = output_options_colour(&arguments->output, fd);

    static struct inspection inspection; /* too large for a stack */
    inspect_program(arguments->command[0], &inspection);
    if (inspect_reason(&inspection) != NULL && !arguments->quiet)
        message("%s: %s", inspection.verdict == INSPECT_CLEARED ? arguments->command[0] : inspection.resolution.path,
                inspect_reason(&inspection));
    /* Another libc's loader does not pass over what it cannot load: the program would not start. That of another kind
     * of machine would only write that it cannot preload the library. */
    if (inspection.verdict != INSPECT_OTHER_LIBC && inspection.verdict != INSPECT_OTHER_KIND)
        preload(arguments->library.preload);

    struct recording recorded = {0};
    if (recording_look(trace, &recorded) && !arguments->quiet)
        remarks_say_overridden(&recorded, &arguments->settings, trace_name(arguments));

    uint64_t started = clock_now();
    struct launch launch;
    int status, failure = launch_start(&launch, arguments->command);
    if (failure == 0) {
        feed_begin(&feed);
        status = attend(arguments, &feed, &launch, &inspection, counting ? &chance : NULL, &recorded, started);
    } else {
        say_why_not_started(message_name(arguments->command[0]), failure, &inspection);
        status = launch.pid < 0 ? STATUS_RUN_FAILED : failure == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    }
    inspect_free(&inspection);
    feed_free(&feed);
    return status;
}

int command_run(int argc, char **argv)
{
    /* Those that are made of lines, and so can be printed as events happen. */
    static const char *const formats[] = {"text", "json", "csv", NULL};
    static const struct argp argp = {
        options,
        take_option,
        "COMMAND [ARG...]",
        "Run COMMAND under the shim and print its events as they happen.\v"
        "The settings may also stand in the environment: RECVSHIM_SIZE for --size, and so on; but for RECVSHIM_TRACE, "
        "which --trace alone decides.\n\n"
        "Exit status: COMMAND's own; 128+N if signal N killed it; 125 if recvshim itself failed, 126 if COMMAND cannot "
        "be executed, 127 if there is none.",
        children,
        NULL,
        NULL};
    static struct arguments arguments = {
        .settings = SETTINGS_DEFAULT,
        .output = {.what = "events", .standard_name = "stderr", .standard = STDERR_FILENO, .formats = formats}};
    argp_err_exit_status = STATUS_RUN_FAILED;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments);
    if (arguments.faults.given)
        setenv(SETTINGS_PREFIX "FAULT", arguments.faults.text, 1);
    if (!take_environment(&arguments))
        return STATUS_RUN_FAILED;
    take_faults(&arguments);
    if (!can_act(&arguments.faults.rules, arguments.settings.calls))
        return STATUS_RUN_FAILED;
    if (!library_find(&arguments.library)) {
        message("%s: the library is not there; set RECVSHIM_LIBRARY to its path", arguments.library.path);
        return STATUS_RUN_FAILED;
    }
    /* The loader splits LD_PRELOAD at colons and spaces, and knows no escape. */
    if (strpbrk(arguments.library.preload, ": ") != NULL) {
        message("%s: the loader takes no path with a colon or a space; set RECVSHIM_LIBRARY to another",
                arguments.library.path);
        return STATUS_RUN_FAILED;
    }

    struct trace trace;
    struct trace_error error =
        arguments.trace != NULL ? open_file(&arguments, &trace) : open_memory(&arguments, &trace);
    if (error.what != NULL) {
        message_trace_error(trace_name(&arguments), error);
        return STATUS_RUN_FAILED;
    }
    int fd;
    error = output_options_open(&arguments.output, &trace, &fd);
    if (error.what != NULL) {
        message_trace_error(output_options_name(&arguments.output), error);
        trace_close(&trace);
        return STATUS_RUN_FAILED;
    }
    int status = run(&arguments, &trace, fd);
    trace_close(&trace);
    if (fd != STDERR_FILENO && close(fd) != 0)
        message("%s: cannot be written: %s", output_options_name(&arguments.output), strerror(errno));
    return status;
}
