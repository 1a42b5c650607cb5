/* What the command says on stderr: one line each, `recvshim: THING: what is wrong; remedy`. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "trace/trace_file.h"

/* Printed with one write, so that lines of several processes do not mix. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wrong usage: say so, and end with argp_err_exit_status. One line, where argp_error would print two. */
void message_usage(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A name as it stands in a message: an empty one has to be seen. */
const char *message_name(const char *name);

/* Why a trace or an output could not be used. */
void message_trace_error(const char *name, struct trace_error error);

#endif
