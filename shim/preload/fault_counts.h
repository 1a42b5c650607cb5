/* What rules of fault injection count: by process, by connection, and for all processes of a trace. Counts belong to a
 * generation of the rules, and begin anew with the next. Safe in a signal handler. */
#ifndef FAULT_COUNTS_H
#define FAULT_COUNTS_H

#include "recvshim/trace.h"

#include <stdbool.h>

/* Each is recvshim_count_word(), so that who counts for an old generation changes nothing in a new one. */
struct fault_pair {
    _Atomic uint64_t *calls; /* that the rule selected */
    _Atomic uint64_t *taken; /* of its `times` */
};

/* What is known of a connection since there are rules: of one generation, told by `key`. Relaxed: each word stands for
 * itself. */
struct fault_connection {
    _Atomic uint64_t key;
    _Atomic uint64_t receives;
    _Atomic uint64_t received; /* bytes */
    _Atomic uint64_t ended;    /* an `eof` has ended it: not 0 */
    _Atomic uint64_t calls[RECVSHIM_CONNECTION_COUNTERS];
    _Atomic uint64_t taken[RECVSHIM_CONNECTION_COUNTERS];
};

/* Make room. For the constructor; returns false where there is no memory. `shared`: the trace's, NULL without one. */
bool fault_counts_start(struct recvshim_rule_counters *shared);

/* The connection with this id in a place of origin.h, as it stands in this generation. NULL where there is no room, and
 * where it is just being set up, by another thread or by what this handler interrupted. */
struct fault_connection *fault_counts_connection(uint32_t place, uint64_t id, uint32_t generation);

/* What counts for a rule, the one at `index`. Both NULL where nothing can. */
struct fault_pair fault_counts_of(const struct recvshim_rule *rule, uint32_t index,
                                  struct fault_connection *connection);

/* Count one more; returns how many that makes. */
uint64_t fault_count(_Atomic uint64_t *word, uint32_t generation);
uint64_t fault_counted(const _Atomic uint64_t *word, uint32_t generation);
/* The same, but up to a limit: returns false where that has been reached. */
bool fault_count_up_to(_Atomic uint64_t *word, uint32_t generation, uint64_t limit);

/* The rule at `index` has injected something: told to those who read the trace. */
void fault_counts_injected(uint32_t index, uint32_t generation);

#endif
