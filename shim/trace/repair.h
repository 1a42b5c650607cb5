/* Slots whose owners were killed while they wrote. Such a slot stays busy, and no writer may take it; only here, where
 * the owner's death can be proven, is it marked abandoned. */
#ifndef REPAIR_H
#define REPAIR_H

#include "read.h"

/* Whether the thread ids in a trace mean to this process what they meant to its writers: the same boot, and the same
 * pid namespace, both known, and no writer came from another one. */
bool repair_possible(const struct trace *trace);

/* Mark the slot abandoned if it is busy and its owner no longer exists. The trace must have been mapped by TRACE_REPAIR
 * or TRACE_CONTROL, and repair_possible() be true. Returns whether it was marked. */
bool repair_slot(struct recvshim_slot *slot);

/* Do that for every slot the reader had to put aside. Returns how many were marked. Nothing where it is not possible.
 */
size_t repair(const struct reader *reader);

#endif
