/* Parts of an event as values of JSON. */
#ifndef JSON_EVENT_H
#define JSON_EVENT_H

#include "event.h"
#include "output.h"

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
