/* Connections that were asked for and are not there. */
#ifndef MISSING_H
#define MISSING_H

#include "filter.h"
#include "trace/trace_file.h"

/* Say which connections of the filter have no event, given the set of those that have: filter_connection(). Returns
 * whether there were any. */
bool missing_report(struct trace *trace, const struct filter *filter, uint64_t found, const char *name);

#endif
