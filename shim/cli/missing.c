#include "missing.h"

#include "guard.h"
#include "message.h"

#include <inttypes.h>

struct given {
    const struct trace *trace;
    uint64_t ids; /* of connections, from 1 on */
};

static void read_connections(void *context)
{
    struct given *given = context;
    given->ids = atomic_load_explicit(&given->trace->counters->connections, memory_order_relaxed);
}

bool missing_report(struct trace *trace, const struct filter *filter, uint64_t found, const char *name)
{
    const struct filter_numbers *wanted = &filter->connections;
    struct given given = {.trace = trace};
    bool missing = false;
    if (!guard_run(trace, read_connections, &given))
        return false;
    for (size_t i = 0; i < wanted->count; i++) {
        if ((found >> i & 1) != 0)
            continue;
        missing = true;
        if (given.ids == 0)
            message("%s: has no event of connection %" PRIu64 "; no connection was numbered in it", name,
                    wanted->items[i]);
        else
            message("%s: has no event of connection %" PRIu64 "; its connections are 1 to %" PRIu64, name,
                    wanted->items[i], given.ids);
    }
    return missing;
}
