/* Values of JSON (RFC 8259). */
#ifndef JSON_H
#define JSON_H

#include "event.h"
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

/* The names of the MSG_* flags in the set, as an array. */
void json_flags(struct output *output, uint32_t flags);

/* The names of the signals in the set, as an array; null where nothing is known of them. */
void json_signals(struct output *output, const struct interruption *interruption);

/* Whether the handlers of these signals ran: false of candidates, null where nothing is known. */
void json_certain(struct output *output, enum certainty certainty);

/* The names of the actions in the set, as an array. */
void json_actions(struct output *output, uint32_t actions);

/* What was injected, as an object; null where there is none. Numbers that may need all of 64 bits, and mean nothing as
 * numbers, are strings of hexadecimal digits. */
void json_fault(struct output *output, const struct injection *fault);

/* What TCP said, as an object; null where there is none: it was not asked. */
void json_tcp(struct output *output, const struct recvshim_tcp *tcp);

#endif
