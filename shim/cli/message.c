#include "message.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_line(const char *format, va_list arguments)
{
    static const char prefix[] = "recvshim: ";
    char line[4096 + 512];
    memcpy(line, prefix, sizeof prefix);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is not, but Clang 14 says so of every va_start. */
    (void)vsnprintf(line + sizeof prefix - 1, sizeof line - sizeof prefix, format, arguments);
    size_t end = strlen(line);
    /* Names come from outside: one message stays one line. */
    for (size_t i = 0; i < end; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[end++] = '\n';
    while (write(STDERR_FILENO, line, end) < 0 && errno == EINTR)
        ;
}

void message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void message_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
    exit(argp_err_exit_status);
}

const char *message_name(const char *name)
{
    return *name != '\0' ? name : "''";
}

void message_trace_error(const char *name, struct trace_error error)
{
    name = message_name(name);
    if (error.error != 0)
        message("%s: %s: %s", name, error.what, strerror(error.error));
    else
        message("%s: %s", name, error.what);
}
