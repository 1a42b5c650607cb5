/* One receive under rules of fault injection: from the plan to the outcome. */
#ifndef INJECT_H
#define INJECT_H

#include "outcome.h"

/* Make the call as the rules in force have it; where none acts, as it is. outcome->word, handled, entry and room are
 * those of the call. */
void inject(const struct call *call, struct outcome *outcome);

/* The program waits by EPOLLET: what is left by a receive that was cut has to be announced. */
void inject_edges_awaited(void);

#endif
