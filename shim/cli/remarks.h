/* What `run` says in the end of how the tracing went. */
#ifndef REMARKS_H
#define REMARKS_H

#include "chance.h"
#include "family.h"
#include "feed.h"
#include "inspect.h"
#include "launch.h"
#include "overruled.h"
#include "preload/settings.h"
#include "recording.h"

struct remarks {
    const char *name;       /* of the command */
    const char *trace_name; /* in messages */
    const struct settings *settings;
    struct recording recorded;       /* when the program was started */
    const struct fault_rules *rules; /* that the program was started with */
    const struct feed *feed;
    const struct inspection *inspection; /* what was wrong with it was said before it started */
    const struct overruled *overruled;
    const struct chance *chance; /* NULL */
    struct family *family;
    const struct launch *launch; /* that has ended */
    uint64_t started;            /* when, on the trace's clock */
    bool written;                /* others write to the trace yet */
};

/* Say which settings of this command the trace does not let hold. */
void remarks_say_overridden(const struct recording *recorded, const struct settings *settings, const char *trace_name);

/* What a person should know: what was retried against the program's intent, who was not traced, why nothing was seen,
 * what was lost. */
void remarks_say(const struct remarks *remarks);

/* A seed that was drawn is what nobody knows. One that was given to no avail, as the trace had one, is not the seed. */
void remarks_say_seed(const struct remarks *remarks);

#endif
