/* Faults that chance decided on: a person who wants the same once more needs the seed. */
#ifndef CHANCE_H
#define CHANCE_H

#include "trace/control_page.h"

/* How often each rule had injected when we began to look. */
struct chance {
    uint32_t generation;
    uint64_t before[RECVSHIM_MAX_RULES];
};

/* Begin to look. Returns false if the trace was cut short. */
bool chance_begin(struct chance *chance, const struct trace *trace);

/* How many faults have been injected since, if a rule that draws (by p=, N..M, or corrupt) is among those that injected
 * them; else 0. `own` are the rules of the program that is looked at, which count until control sets others. */
uint64_t chance_count(const struct chance *chance, const struct trace *trace, const struct fault_rules *own);

#endif
