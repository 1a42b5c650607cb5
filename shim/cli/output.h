/* Where events are printed to: a descriptor behind a buffer, and the appending of text and numbers without stdio, which
 * would take most of the time of a long `show`. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "trace/trace_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct output {
    int fd;
    int error; /* errno of the first write that failed, else 0; nothing is written after that */
    char *at;  /* where the next byte goes */
    char buffer[1 << 16];
};

/* The most that is appended between two calls of output_reserve(): one event, every byte of its strings escaped. */
#define OUTPUT_EVENT_MAX 4096

/* Open a file to print to, made or emptied: but not if it is the trace itself, which must be open. NULL: of none. */
struct trace_error output_open(const char *path, const struct trace *trace, int *fd);

void output_init(struct output *output, int fd);
/* Write out what is buffered. Returns false where that failed, now or before. */
bool output_flush(struct output *output);
/* Make room for OUTPUT_EVENT_MAX bytes: the functions below do not look. */
void output_reserve(struct output *output);
/* The same for so many bytes, up to the size of the buffer. */
void output_room(struct output *output, size_t bytes);

/* Append any number of bytes, and make room for them. */
void output_long(struct output *output, const char *bytes, size_t count);
/* Append formatted text, of which 1023 bytes are kept, and make room for it. For what is printed now and then. */
__attribute__((format(printf, 2, 3))) void output_print(struct output *output, const char *format, ...);

static inline void output_byte(struct output *output, char byte)
{
    *output->at++ = byte;
}

/* A separator before each item but the first, which stands behind this byte. */
static inline void output_separate(struct output *output, char first, char separator)
{
    if (output->at[-1] != first)
        output_byte(output, separator);
}

static inline void output_bytes(struct output *output, const char *bytes, size_t count)
{
    memcpy(output->at, bytes, count);
    output->at += count;
}

static inline void output_text(struct output *output, const char *text)
{
    output_bytes(output, text, strlen(text));
}

void output_unsigned(struct output *output, uint64_t number);
void output_signed(struct output *output, int64_t number);
/* With leading zeros: `digits` of them. */
void output_padded(struct output *output, uint64_t number, unsigned int digits);
/* Hexadecimal digits, without leading zeros. */
void output_hex(struct output *output, uint64_t number);

#endif
