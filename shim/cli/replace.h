/* A file that others read at any time: it is replaced by a new one, whole, and never seen half written. */
#ifndef REPLACE_H
#define REPLACE_H

#include "trace/trace_file.h"

#include <limits.h>

struct replacement {
    const char *path;
    char temporary[PATH_MAX]; /* beside it, and hidden: whoever collects *.prom passes it over */
};

/* Whether the path can be replaced: it is a regular file, or nothing. A device or a pipe is written to instead, and so
 * is the file that a symbolic link leads to. */
bool replace_possible(const char *path);

/* Begin the new file. Refused where the path is the trace itself, which must be open. */
struct trace_error replace_begin(struct replacement *replacement, const char *path, const struct trace *trace, int *fd);

/* Close it, and put it in the other's place. */
struct trace_error replace_end(struct replacement *replacement, int fd);

/* Close it, and leave the other one alone. */
void replace_abandon(struct replacement *replacement, int fd);

#endif
