/* The settings of INTERFACE.md, read from text. Used by the library for its environment and by the command for its
 * options, so that both accept the same. Pure: nothing here reads the environment or opens a file. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "trace/calls.h"
#include "trace/trace_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum eintr_policy { EINTR_ALWAYS, EINTR_INTENT, EINTR_RESTART, EINTR_NEVER };
enum scope_policy { SCOPE_CANONICAL, SCOPE_STRIP, SCOPE_KAME, SCOPE_KEEP };
enum lookup_policy { LOOKUP_AUTO, LOOKUP_ON, LOOKUP_OFF };

struct settings {
    enum eintr_policy eintr;
    uint64_t eintr_pass; /* signals whose interruption always reaches the program: a set as of signal_bit() */
    enum scope_policy scope;
    enum lookup_policy lookup;
    uint32_t calls;         /* set of enum recvshim_call: those handled */
    bool duration;          /* measure the time in each call */
    const char *trace_path; /* RECVSHIM_TRACE as given, its % not expanded; NULL: trace nothing */
    const char *fault;      /* RECVSHIM_FAULT as given, its rules good; NULL: none */
    struct trace_options trace;
};

#define SETTINGS_DEFAULT                                                                                               \
    {                                                                                                                  \
        .eintr = EINTR_ALWAYS, .scope = SCOPE_CANONICAL, .lookup = LOOKUP_AUTO, .calls = CALLS_DEFAULT,                \
        .trace = {.size = TRACE_SIZE_DEFAULT,                                                                          \
                  .mode = RECVSHIM_MODE_OVERWRITE,                                                                     \
                  .events = RECVSHIM_EVENTS_DEFAULT,                                                                   \
                  .tracing = true},                                                                                    \
    }

#define SETTINGS_PREFIX "RECVSHIM_"

/* The name of a variable without its prefix, counted from 0; NULL past the last. */
const char *settings_name(size_t index);

/* Take a value for the variable `name` (without its prefix). Returns NULL if it was good, else a phrase that says what
 * is accepted, and *settings is unchanged. Keeps a pointer to the values of TRACE and FAULT. Not
 * for several threads at once: what is accepted as FAULT is said in memory that the next call writes again. */
const char *settings_parse(struct settings *settings, const char *name, const char *value);

/* Switch off what the variable belongs to, as a bad value must. Returns a phrase that says what now is off. */
const char *settings_switch_off(struct settings *settings, const char *name);

/* Expand %p and %% of RECVSHIM_TRACE. Returns false where there is another %, or too little room. */
bool settings_expand_path(const char *pattern, uint32_t pid, char *path, size_t size);

#endif
