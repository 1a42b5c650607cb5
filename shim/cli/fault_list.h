/* The injections of a trace, as the rules that inject just these again. */
#ifndef FAULT_LIST_H
#define FAULT_LIST_H

#include "event.h"

#include <stddef.h>

/* An injection, and which call it was of. */
struct fault_item {
    struct injection injection;
    uint64_t time, connection;
    uint32_t pid, tid;
};

struct fault_list {
    struct fault_item *items; /* in the order of the trace, until the rules are made */
    size_t count, room;
    size_t senseless; /* fault events that no injection can have: damage */
    bool out_of_memory;
    /* Once the rules are made: */
    struct recvshim_rule *rules;
    size_t rule_count;
    size_t injections; /* that they repeat: those of one receive count as one delay, and one other */
    size_t repeated;   /* receives of the same origin and ordinal as an earlier one, that suffered the same */
    size_t contrary;   /* receives of the same origin and ordinal as an earlier one, that suffered something else */
    /* What else there is to say of them, told by whoever reads the trace: */
    uint64_t seed;
    uint64_t lost;   /* events */
    bool unrecorded; /* faults are not recorded just now, and may not have been before */
    bool set_anew;   /* rules have been set while the trace was there: receives then count from 1 again */
};

/* All zero at first. */
void fault_list_free(struct fault_list *list);

/* An event that is no fault adds nothing. */
void fault_list_add(struct fault_list *list, const struct event *event);

/* Make the rules, sorted by origin and ordinal: all may hold at once, in this order. Of each receive only the delays
 * are several, and add up; so what is made of one never gets in the way of another. */
void fault_list_finish(struct fault_list *list);

#endif
