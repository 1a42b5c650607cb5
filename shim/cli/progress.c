#include "progress.h"

#include "trace/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)

bool progress_wanted(int output)
{
    return isatty(STDERR_FILENO) && !isatty(output);
}

void progress_begin(struct progress *progress)
{
    *progress = (struct progress){.begun = clock_now()};
}

void progress_update(void *context, uint64_t done, uint64_t total)
{
    struct progress *progress = context;
    uint64_t now = clock_now();
    if (total == 0 || now - progress->begun < 1000 * MILLISECOND || now - progress->shown < 200 * MILLISECOND)
        return;
    progress->shown = now;
    progress->visible = true;
    fprintf(stderr, "\r%3" PRIu64 "%%  %" PRIu64 " of %" PRIu64 " events\033[K", done * 100 / total, done, total);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->visible = false;
}
