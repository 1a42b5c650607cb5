/* What `recvshim check` found out, for its formats. */
#ifndef CHECK_H
#define CHECK_H

#include "inspect.h"
#include "libraries.h"
#include "output.h"

#include <stdbool.h>
#include <stdint.h>

struct check {
    const char *name; /* as it was given */
    struct inspection inspection;
    struct libraries libraries; /* none where it is not worth while to look */
    uint32_t handled;           /* calls that are without a word: a set */
};

void check_text(const struct check *check, struct output *output, bool colour);
void check_json(const struct check *check, struct output *output);

#endif
