/* What lines for a person are made of. */
#ifndef TEXT_H
#define TEXT_H

#include "output.h"

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

/* A name that may hold any bytes: what could move a cursor or end a line is escaped. At most 4 bytes for each given. */
void text_name(struct output *output, const char *bytes, size_t count);

/* An address of a family that is known; `text` is as struct event has it. The port counts for IP alone. */
void text_address(struct output *output, uint16_t family, const char *text, size_t length, uint16_t port);

/* A span of time in the unit that suits it: 123 us, 12.345 ms, 1.234 s. */
void text_span(struct output *output, uint64_t nanoseconds);

/* A number, and a word that gets an s unless it is 1. */
void text_count(struct output *output, uint64_t number, const char *word);

/* The length of a name as far as it is shown: what a file says it is called has no end of its own. */
size_t text_length(const char *name);

#endif
