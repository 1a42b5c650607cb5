/* One receive under rules of fault injection, from the plan to the outcome: what is looked at before it is in
 * inject_look.c, what each action does in inject_actions.c. */
#ifndef INJECT_H
#define INJECT_H

#include "outcome.h"

/* Make the call as the rules in force have it; where none acts, as it is. outcome->word, handled, entry and room are
 * those of the call. */
void inject(const struct call *call, struct outcome *outcome);

#endif
