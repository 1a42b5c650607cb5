/* The trace that a running process has mapped. */
#ifndef LOCATE_H
#define LOCATE_H

#include "trace_file.h"

#include <limits.h>
#include <sys/types.h>

/* Find and map it. On failure `what` follows "process PID" in a message. */
struct trace_error locate_open(pid_t pid, enum trace_access access, struct trace *trace);

/* Whether the process has that trace mapped. Unknown where it may not be looked into. */
enum locate_answer { LOCATE_NO, LOCATE_YES, LOCATE_UNKNOWN };
enum locate_answer locate_has(pid_t pid, const struct trace *trace);
/* The same, with what the trace is called there. */
enum locate_answer locate_name(pid_t pid, const struct trace *trace, char name[PATH_MAX]);

#endif
