/* Options that subcommands have in common, each group once: argp_children whose input is the group's struct below. A
 * subcommand gives them to its argp, and their inputs on ARGP_KEY_INIT; a bad value ends the program with a message. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "filter.h"
#include "trace/trace_file.h"

#include <argp.h>
#include <stdbool.h>
#include <sys/types.h>

/* -o FILE, --format, --color. The first four are the subcommand's to set, the others follow from the options. */
struct output_options {
    const char *what;           /* is written: "events" */
    const char *standard_name;  /* "stdout" */
    int standard;               /* the descriptor that is written to without -o */
    const char *const *formats; /* their names: the default first, NULL last */
    const char *format;         /* NULL until it is given: see output_options_format() */
    const char *path;           /* NULL: standard */
    const char *colour;         /* NULL: auto */
};
extern const struct argp output_argp;

/* The name of the format that is wanted: one of those accepted. */
const char *output_options_format(const struct output_options *options);
/* What the output is called in messages. */
const char *output_options_name(const struct output_options *options);
/* Open the file, where one was given; else *fd is the standard one. */
struct trace_error output_options_open(const struct output_options *options, const struct trace *trace, int *fd);
/* Whether what goes to the descriptor is to be coloured. auto: to a terminal, with neither NO_COLOR nor TERM=dumb in
 * the environment. */
bool output_options_colour(const struct output_options *options, int fd);

/* Which trace: TRACE, or -p PID. Exactly one of them has to be given. */
struct source_options {
    const char *command; /* the subcommand's name, for messages; its to set */
    const char *path;    /* NULL with pid */
    pid_t pid;           /* 0: path */
    char pid_name[32];
};
extern const struct argp source_argp;

/* The PID of -p: a bad one is wrong usage. */
pid_t options_pid(const char *value);

/* What the trace is called in messages. */
const char *source_options_name(const struct source_options *options);
/* Open the trace, for reading only where that access is not allowed (but not in place of TRACE_CONTROL), and the output
 * (unless it is NULL). Returns false where one of them cannot be opened: a message has been printed, and nothing is
 * left open. */
bool options_open(const struct source_options *source, enum trace_access access, struct trace *trace,
                  const struct output_options *output, int *fd);

/* --event, --call and the other filters. The input is a struct filter, which filter_init() has been called for. */
extern const struct argp filter_argp;

#endif
