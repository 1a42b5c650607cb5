/* A trace may be truncated by anybody while it is being read; the next look at it is then a SIGBUS. */
#ifndef GUARD_H
#define GUARD_H

#include "trace/trace_file.h"

/* Do the work. Returns false if the trace was cut short under it; the work was left where it stood then, so whatever it
 * changes must stay usable at every look at the trace. Not to be nested. */
bool guard_run(const struct trace *trace, void (*work)(void *context), void *context);

#endif
