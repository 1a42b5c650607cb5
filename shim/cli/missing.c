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

void missing_report_processes(const struct trace *trace, const struct process_list *known, const char *name)
{
    const uint32_t room = trace->header.processes;
    if (known->claimed > room)
        message("%s: %" PRIu64 " of %" PRIu64
                " processes found no room in its table, and have no name and no parent; %s",
                name, known->claimed - room, known->claimed,
                room < RECVSHIM_MAX_PROCESSES ? "a larger --size has room for more" : "there is never room for more");
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
