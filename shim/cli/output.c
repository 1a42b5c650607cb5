#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

struct trace_error output_open(const char *path, const struct trace *trace, int *fd)
{
    struct stat file, other;
    struct trace_error error = {NULL, 0};
    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return (struct trace_error){"cannot be opened", errno};
    if (fstat(*fd, &file) != 0 || (trace != NULL && fstat(trace->fd, &other) != 0))
        error = (struct trace_error){"cannot be examined", errno};
    else if (trace != NULL && file.st_dev == other.st_dev && file.st_ino == other.st_ino)
        error = (struct trace_error){"is the trace itself; write the events to another file", 0};
    else if (S_ISREG(file.st_mode) && ftruncate(*fd, 0) != 0)
        error = (struct trace_error){"cannot be emptied", errno};
    if (error.what != NULL)
        close(*fd);
    return error;
}

void output_init(struct output *output, int fd)
{
    output->fd = fd;
    output->error = 0;
    output->at = output->buffer;
}

bool output_flush(struct output *output)
{
    const char *from = output->buffer;
    while (from < output->at && output->error == 0) {
        ssize_t written = write(output->fd, from, (size_t)(output->at - from));
        if (written >= 0)
            from += written;
        else if (errno == EAGAIN)
            /* The descriptor is shared, and somebody made it non-blocking. */
            poll(&(struct pollfd){.fd = output->fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            output->error = errno;
    }
    output->at = output->buffer;
    return output->error == 0;
}

void output_room(struct output *output, size_t bytes)
{
    if ((size_t)(output->buffer + sizeof output->buffer - output->at) < bytes)
        output_flush(output);
}

void output_reserve(struct output *output)
{
    output_room(output, OUTPUT_EVENT_MAX);
}

static unsigned int count_digits(uint64_t number)
{
    for (unsigned int digits = 1;; digits += 4, number /= 10000) {
        if (number < 10)
            return digits;
        if (number < 100)
            return digits + 1;
        if (number < 1000)
            return digits + 2;
        if (number < 10000)
            return digits + 3;
    }
}

void output_padded(struct output *output, uint64_t number, unsigned int digits)
{
    /* Two digits at a time, from the right. */
    char *at = output->at;
    output->at += digits;
    for (; digits >= 2; digits -= 2) {
        memcpy(at + digits - 2, pairs + number % 100 * 2, 2);
        number /= 100;
    }
    if (digits == 1)
        *at = (char)('0' + number % 10);
}

void output_unsigned(struct output *output, uint64_t number)
{
    output_padded(output, number, count_digits(number));
}

void output_signed(struct output *output, int64_t number)
{
    if (number < 0)
        output_byte(output, '-');
    output_unsigned(output, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void output_hex(struct output *output, uint64_t number)
{
    int shift = 60;
    while (shift > 0 && number >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        output_byte(output, "0123456789abcdef"[number >> shift & 0xf]);
}

void output_long(struct output *output, const char *bytes, size_t count)
{
    while (count > 0) {
        size_t part = count < OUTPUT_EVENT_MAX ? count : OUTPUT_EVENT_MAX;
        output_reserve(output);
        output_bytes(output, bytes, part);
        bytes += part;
        count -= part;
    }
}

void output_print(struct output *output, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is not, but Clang 14 says so of every va_start. */
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        output_long(output, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}
