/* What a trace has not: connections that were asked for, and processes that found its table full. */
#ifndef MISSING_H
#define MISSING_H

#include "filter.h"
#include "trace/lookup.h"
#include "trace/trace_file.h"

/* Say which connections of the filter have no event, given the set of those that have: filter_connection(). Returns
 * whether there were any. */
bool missing_report(struct trace *trace, const struct filter *filter, uint64_t found, const char *name);

/* Say how many processes have no entry in the table, and so no name and no parent: their events are there. */
void missing_report_processes(const struct trace *trace, const struct process_list *known, const char *name);

#endif
