/* The tables of a trace: who wrote it, and the unix paths its records refer to. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "trace_file.h"

struct process {
    uint32_t pid;
    uint32_t parent;
    uint64_t start; /* on the trace's clock */
    char comm[17];  /* terminated; may hold any bytes */
};

/* A checked copy of the process table, sorted by pid and start. */
struct process_list {
    struct process *items;
    size_t count;
    uint64_t claimed; /* entries given out when it was copied */
    size_t last;      /* the one found last: records of one process come in a row */
};

/* Copy the table again if it has grown, or was still being filled. Returns false where memory ran out. */
bool process_list_update(struct process_list *list, const struct trace *trace);
void process_list_free(struct process_list *list);

/* The process that had that pid at that time: the latest that began before it, else (the clock may be read before the
 * process says hello) the first with that pid. NULL where none said hello, or the table was full. */
const struct process *process_find(struct process_list *list, uint32_t pid, uint64_t time);

/* Copy the unix path with that index + 1, as a record gives it. Returns its length, 0 where there is none. */
size_t lookup_name(const struct trace *trace, uint32_t index_plus_one, char text[108]);

#endif
