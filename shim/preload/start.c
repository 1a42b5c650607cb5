/* The constructor: settings, next definitions, trace. All that is not on the path of a receive. */
#include "endpoints.h"
#include "fault.h"
#include "handlers.h"
#include "lifecycle.h"
#include "next.h"
#include "origin.h"
#include "process.h"
#include "query.h"
#include "receive.h"
#include "recorder.h"
#include "returns.h"

#include "trace/fault_rules.h"
#include "trace/line.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Write, and leave no SIGPIPE where nobody reads: it would end a program that may never have written there itself. What
 * was pending before stays. Not pthread_sigmask, which old systems keep in a library of its own. */
static void write_quietly(int fd, const char *text, size_t length)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    sigprocmask(SIG_BLOCK, &pipe, &before);
    if (write(fd, text, length) < 0 && errno == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        sigtimedwait(&pipe, NULL, &(struct timespec){0});
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* A value as it stands in a line: what would break the line, or the terminal, is masked; a long one is cut. */
static void add_value(struct line *line, const char *value)
{
    for (size_t i = 0; i < PATH_MAX && value[i] != '\0'; i++) {
        bool control = (unsigned char)value[i] < ' ' || value[i] == 0x7f;
        line_add_bytes(line, control ? "?" : &value[i], 1);
    }
}

/* The one thing that the library ever writes outside its trace: a line for a setting that it cannot follow. */
static void complain(const char *name, const char *value, const char *problem, int error, const char *consequence)
{
    char text[PATH_MAX + FAULT_PROBLEM_MAX + 512];
    struct line line = {text, sizeof text - 1, 0};
    line_add(&line, "recvshim: " SETTINGS_PREFIX);
    line_add(&line, name);
    line_add(&line, "=");
    add_value(&line, value);
    line_add(&line, problem);
    if (error != 0) {
        char reason[128];
        line_add(&line, ": ");
        line_add(&line, strerror_r(error, reason, sizeof reason));
    }
    line_add(&line, "; ");
    line_add(&line, consequence);
    text[line.length] = '\n';
    write_quietly(STDERR_FILENO, text, line.length + 1);
}

static void read_settings(struct settings *settings)
{
    const char *name;
    for (size_t i = 0; (name = settings_name(i)) != NULL; i++) {
        char variable[64];
        struct line line = {variable, sizeof variable, 0};
        line_add(&line, SETTINGS_PREFIX);
        line_add(&line, name);
        const char *value = secure_getenv(variable); /* nothing at all in a program that gained privileges */
        if (value == NULL || *value == '\0')
            continue;
        const char *accepted = settings_parse(settings, name, value);
        if (accepted == NULL)
            continue;
        char problem[FAULT_PROBLEM_MAX + 128];
        struct line text = {problem, sizeof problem, 0};
        line_add(&text, " is not accepted: give ");
        line_add(&text, accepted);
        complain(name, value, problem, 0, settings_switch_off(settings, name));
    }
}

/* By on_exit, which tells the status; its first handler is called last. */
static void tell_exit(int status, void *nothing)
{
    (void)nothing;
    lifecycle_exiting(status);
}

/* Returns whether there is a trace to write to. */
static bool start_tracing(const struct settings *settings)
{
    char path[PATH_MAX];
    settings_expand_path(settings->trace_path, (uint32_t)getpid(), path, sizeof path);
    struct trace_error error = recorder_start(path, &settings->trace);
    /* `recvshim run` has ended and left us running on: its memory is gone, and that is nobody's mistake. */
    bool over = error.error == ENOENT && trace_path_is_memory(path);
    if (error.what == NULL) {
        process_learn_forks();
        endpoints_start();
        on_exit(tell_exit, NULL);
    }
    if (error.what == NULL || over)
        return error.what == NULL;
    char problem[128];
    struct line line = {problem, sizeof problem, 0};
    line_add(&line, " ");
    line_add(&line, error.what);
    complain("TRACE", settings->trace_path, problem, error.error, "nothing is traced");
    return false;
}

/* The rules of fault injection that the process was started with. */
static struct fault_rules rules; /* too large for a stack */

static void give_rules_up(struct settings *settings, const char *problem, int error)
{
    const char *text = settings->fault;
    rules.count = 0;
    complain("FAULT", text, problem, error, settings_switch_off(settings, "FAULT"));
}

/* Their text is known to be good. */
static void read_rules(struct settings *settings)
{
    char problem[FAULT_PROBLEM_MAX];
    if (settings->fault == NULL || !fault_rules_parse(settings->fault, &rules, problem))
        rules.count = 0;
    for (uint32_t i = 0; i < rules.count && settings->trace_path == NULL; i++)
        if (rules.rules[i].per == RECVSHIM_PER_TRACE)
            give_rules_up(settings, ": per=trace needs a trace: give RECVSHIM_TRACE", 0);
    settings->trace.faults = &rules;
}

/* Returns whether there are any of our own. Also without: with a trace others may come. */
static bool start_faults(struct settings *settings, bool tracing)
{
    if (rules.count == 0 && !tracing)
        return false;
    if (!fault_start(&rules, tracing ? recorder_seed() : trace_seed(&settings->trace))) {
        if (rules.count != 0)
            give_rules_up(settings, " cannot be followed", ENOMEM);
        else
            complain("TRACE", settings->trace_path, ": rules that come later cannot be followed", ENOMEM,
                     "the rest is traced");
        return false;
    }
    if (rules.count != 0 && !tracing) { /* rules look at peers as records do */
        recorder_number_connections();
        endpoints_start();
    }
    return rules.count != 0;
}

__attribute__((constructor)) static void start(void)
{
    int error = errno;
    next_start();
    process_start();
    origin_start();
    returns_start();
    read_settings(&receive_settings);
    read_rules(&receive_settings);
    bool tracing = receive_settings.trace_path != NULL && start_tracing(&receive_settings);
    bool faults = start_faults(&receive_settings, tracing);
    query_start(receive_settings.lookup, tracing || faults || (receive_settings.calls & CALLS_ON_FILES) != 0);
    handlers_start(receive_settings.eintr, receive_settings.eintr_pass, !query_filtered());
    errno = error;
}
