/* The names of events, calls and the like, as the contract fixes them. */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char *const event_names[];  /* RECVSHIM_EVENTS of them, by enum recvshim_event */
extern const char *const call_names[];   /* RECVSHIM_CALLS of them, by enum recvshim_call */
extern const char *const action_names[]; /* RECVSHIM_ACTIONS of them, by enum recvshim_action */

/* The index of a word of that length in a list of names, or -1. */
int names_find(const char *word, size_t length, const char *const names[], uint32_t count);

/* Read a list such as `receive,disconnect`, or `all`, into a set with bit N for names[N]. A list must not be empty. On
 * failure *set is as it was. */
bool names_parse_set(const char *list, const char *const names[], uint32_t count, uint32_t *set);

#endif
