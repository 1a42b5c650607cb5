/* What rules of fault injection count: by process, by connection, and for all processes of a trace. Every count stands
 * in one word with a tag that says what it belongs to; under another tag it is 0. So nothing has to be cleared, by
 * nobody in particular, for a new connection or new rules; a handler that leaves by siglongjmp leaves nothing behind;
 * and who counts late for what is over changes nothing but that. */
#ifndef FAULT_COUNTS_H
#define FAULT_COUNTS_H

#include "hot.h"
#include "recvshim/trace.h"

#include <stdbool.h>

/* What is counted for a connection since there are rules. Relaxed: each word stands for itself. */
struct fault_connection {
    _Atomic uint64_t receives;
    _Atomic uint64_t received; /* bytes */
    _Atomic uint64_t ended;    /* 1: an `eof` has ended it */
    _Atomic uint64_t calls[RECVSHIM_CONNECTION_COUNTERS];
    _Atomic uint64_t taken[RECVSHIM_CONNECTION_COUNTERS];
};

/* Make room. For the constructor; returns false where there is no memory. `shared`: the trace's, NULL without one. */
bool fault_counts_start(struct recvshim_rule_counters *shared);

/* By the places of origin.h; NULL where there is no room. */
extern HOT struct fault_connection *fault_connections;

/* What tags the counts of the connection with this id: another one than those before and after it have. */
static inline uint32_t fault_tag(uint64_t id, uint32_t generation)
{
    return (uint32_t)id + generation * UINT32_C(0x9e3779b1);
}

/* The two counts of a rule, and their tag. */
struct fault_pair {
    _Atomic uint64_t *calls; /* that the rule selected; NULL where nothing can count for it */
    _Atomic uint64_t *taken; /* of its `times` */
    uint32_t tag;
};

/* Those of the rule at `index`: of a connection with that tag, or of the generation. */
struct fault_pair fault_counts_of(const struct recvshim_rule *rule, uint32_t index, struct fault_connection *connection,
                                  uint32_t tag, uint32_t generation);

static inline uint64_t fault_counted(const _Atomic uint64_t *word, uint32_t tag)
{
    return recvshim_counted(atomic_load_explicit(word, memory_order_relaxed), tag);
}

/* Count `more`, up to a limit; returns what that makes. Returns 0 and changes nothing where the limit had been reached.
 */
uint64_t fault_count(_Atomic uint64_t *word, uint32_t tag, uint64_t more, uint64_t limit);

/* One less, if the word still has that tag. */
void fault_uncount(_Atomic uint64_t *word, uint32_t tag);

/* The rule at `index` has injected something: told to those who read the trace. */
void fault_counts_injected(uint32_t index, uint32_t generation);

#endif
