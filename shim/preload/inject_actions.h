/* What each action of a rule does to a receive. */
#ifndef INJECT_ACTIONS_H
#define INJECT_ACTIONS_H

#include "fault.h"
#include "outcome.h"

/* Sleep for `delay` ns before the call, which is a cancellation point as the receive is. Returns false where the call
 * is over by a signal: with EINTR. */
bool inject_delay(const struct call *call, uint64_t delay, struct outcome *outcome);

/* An `eof` before has ended the connection: it stays so. */
void inject_ended(const struct call *call, struct outcome *outcome);

/* Make the call with what else the plan has chosen done to it. */
void inject_action(const struct call *call, struct fault_plan *plan, struct outcome *outcome);

/* The program waits by EPOLLET: what is left by a receive that was cut has to be announced. */
void inject_edges_awaited(void);

#endif
