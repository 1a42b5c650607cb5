/* What a fault rule holds that has no option, as an initialiser beside its calls and its action: with
 * RECVSHIM_RULE_EVERY_CALL for these it matches every receive there is. Written here once more than in the library, so
 * that tests hold the one against the other. */
#ifndef BLANK_RULE_H
#define BLANK_RULE_H

#include "recvshim/trace.h"

#define NO_OPTIONS                                                                                                     \
    .first = 1, .last = UINT64_MAX, .step = 1, .chance = RECVSHIM_CHANCE_ALWAYS, .fd = -1,                             \
    .counter = RECVSHIM_NO_COUNTER

#endif
