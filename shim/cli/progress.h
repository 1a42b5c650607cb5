/* How far a long work has come, on a terminal's stderr. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    uint64_t begun, shown; /* ns on CLOCK_MONOTONIC */
    bool visible;
};

/* Whether there is somebody to show it to, and nothing that it would be mixed with: stderr is a terminal, and `output`
 * is not. */
bool progress_wanted(int output);

void progress_begin(struct progress *progress);
/* Show it, from the first second on and not too often. The context is a struct progress. */
void progress_update(void *context, uint64_t done, uint64_t total);
/* Take it away again. */
void progress_end(struct progress *progress);

#endif
