/* What fault injection did, as names, in words, and as a rule that does it again. Pure; of any record, a hostile one as
 * well. */
#ifndef INJECTION_H
#define INJECTION_H

#include "recvshim/trace.h"

#include <stdbool.h>

/* Call `each` with the name of every action in the set, in the order of their numbers; what is no action known here
 * comes last, as "unknown". */
void actions_for_each(uint32_t set, void (*each)(void *context, const char *name), void *context);

/* What a fault event tells. */
struct injection {
    enum recvshim_action action; /* RECVSHIM_ACTIONS: none that is known here */
    bool has_value;              /* the action has one */
    uint64_t value;
    uint32_t rule;    /* its number, from 1 */
    uint64_t ordinal; /* which of its connection's receives it was */
    uint64_t origin;  /* of the connection */
    uint64_t draw;    /* of a corrupt; 0 where there is none */
};
struct injection injection_of(const struct recvshim_record *record);

/* "short"; "unknown" of RECVSHIM_ACTIONS */
const char *action_name(uint32_t action);

/* "short=5", as a rule has it. */
#define INJECTION_WORDS_MAX 64
void injection_words(const struct injection *injection, char words[INJECTION_WORDS_MAX]);

/* The rule that injects the same into the same receive, and does nothing else. Returns false where there can be none:
 * no honest record is that of such an injection. */
bool injection_rule(const struct injection *injection, struct recvshim_rule *rule);

#endif
