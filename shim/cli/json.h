/* Values of JSON (RFC 8259). */
#ifndef JSON_H
#define JSON_H

#include "output.h"

/* A string, with its quotes. Bytes that are no UTF-8 become U+FFFD each. At most 6 bytes for each given, and 2. */
void json_string(struct output *output, const char *bytes, size_t count);

/* A name of ours, which needs no escaping; null where there is none. */
void json_name(struct output *output, const char *name);

/* The same as the next item of an array: for flags_for_each() and its like, with a struct output. */
void json_item(void *context, const char *name);

static inline void json_truth(struct output *output, bool truth)
{
    if (truth)
        output_bytes(output, "true", 4);
    else
        output_bytes(output, "false", 5);
}

#endif
