/* The trace that a running process has mapped. */
#ifndef LOCATE_H
#define LOCATE_H

#include "trace_file.h"

#include <sys/types.h>

/* Find and map it. On failure `what` follows "process PID" in a message. */
struct trace_error locate_open(pid_t pid, enum trace_access access, struct trace *trace);

#endif
