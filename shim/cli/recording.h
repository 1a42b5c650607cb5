/* Whether a trace records, and what. */
#ifndef RECORDING_H
#define RECORDING_H

#include "trace/trace_file.h"

#include <stdbool.h>
#include <stdint.h>

/* What a trace records: its maker chose it, and recvshim control may have since. Who joins it lives with it. */
struct recording {
    bool tracing;
    uint32_t events;
    bool controlled; /* recvshim control has set the rules, and nobody follows those that he was started with */
    bool foreign;    /* processes of another pid namespace write to it */
};

/* Returns false, and leaves it as it is, where the trace was cut short. */
bool recording_look(const struct trace *trace, struct recording *recording);

#endif
