/* What `recvshim check` found out, for its formats. */
#ifndef CHECK_H
#define CHECK_H

#include "inspect.h"
#include "libraries.h"
#include "output.h"
#include "running.h"

#include <stdbool.h>
#include <stdint.h>

/* The trace that a process has mapped. */
struct check_trace {
    bool there;
    char name[PATH_MAX];
    bool tracing;
    const char *problem; /* why there is none; NULL */
};

struct check {
    const char *name;              /* as it was given */
    const struct running *running; /* NULL: of a program that does not run */
    struct check_trace trace;
    struct inspection inspection;
    struct libraries libraries; /* none where it is not worth while to look */
    uint32_t handled;           /* calls: by default, or as the process was told */
};

/* Whether all is as it should be: a program can be traced, a process has the library. */
bool check_is_good(const struct check *check);

void check_text(const struct check *check, struct output *output, bool colour);
void check_json(const struct check *check, struct output *output);

#endif
