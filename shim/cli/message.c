#include "message.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many bytes a control character has there: none where there is none. Those from U+0080 to U+009F, which are two
 * bytes of UTF-8, are orders to some terminals, too. */
static size_t control_length(const char *at)
{
    const unsigned char byte = (unsigned char)at[0], next = (unsigned char)at[1];
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0)
        return 2;
    return byte < 0x20 || byte == 0x7f;
}

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
        memset(line + i, '?', control_length(line + i));
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
