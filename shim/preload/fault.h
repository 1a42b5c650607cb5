/* Which faults a receive is to suffer: the rules in force, tried in order. What is then done to the receive is
 * inject.c's. */
#ifndef FAULT_H
#define FAULT_H

#include "connection.h"
#include "fault_counts.h"
#include "fault_match.h"
#include "hot.h"
#include "recorder.h"

#include "trace/fault_rules.h"

/* An injection: what a record of it tells. */
struct fault {
    enum recvshim_action action; /* RECVSHIM_ACTIONS: none */
    uint32_t rule;               /* its number, from 1 */
    uint64_t value;
    uint64_t draw; /* of a `corrupt` */
    uint64_t ordinal;
    uint64_t origin;
    const struct recvshim_address *source; /* of the datagram, where it was looked at; NULL: the connection's peer */
};

/* What is to be done to one receive. */
struct fault_plan {
    uint64_t delay;     /* ns, of all rules that delay it */
    struct fault fault; /* what else: reported by whoever does it, once it has an effect */
    bool ended;         /* an `eof` before has ended the connection */
    bool selects;       /* a rule may have to do with the call: fault_plan() tells */
    bool asks_peer;     /* and looks at its peer */
    bool counts_bytes;  /* a rule looks at what its connection has received */
    /* fault.c's own: the rules in force, whose counts those of the connection are, and the rule that was chosen. */
    const struct recvshim_control *control; /* NULL: those that the process was started with */
    uint32_t rules;
    uint32_t generation;
    uint32_t tag;
    bool shares_place;                   /* with all that are beyond what is tracked */
    struct fault_connection *connection; /* NULL: nothing can be counted, or there are no rules */
    struct recvshim_rule rule;
};

/* What fault_plan() asks its caller for. */
struct fault_questions {
    int (*type)(const struct call *call);                             /* as SOCK_STREAM; 0 where it cannot be told */
    void (*tell)(const struct call *call, const struct fault *fault); /* a delay is injected */
};

/* For the constructor, after the trace has been joined: the rules that the process was started with, and the seed.
 * Returns false where there is no memory for what rules count. */
bool fault_start(const struct fault_rules *rules, uint64_t seed);

/* What tells of most rules that they have nothing to do with a call; or of several rules, what any of them has. */
struct fault_brief {
    uint32_t calls;
    int32_t lowest, highest; /* descriptors */
    bool asks_peer;
    bool counts_bytes;
};

/* The rules that this process was started with. */
struct fault_own {
    uint32_t rules;
    struct fault_brief any;
};
extern HOT struct fault_own fault_own;

/* Whether there may be rules in force. A relaxed load of the control page beside the one of recorder_tracing(). */
static inline bool fault_possible(void)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    return (atomic_load_explicit(&control->rules, memory_order_relaxed) | fault_own.rules) != 0;
}

static inline bool fault_may_select(struct fault_brief brief, const struct call *call)
{
    return (brief.calls >> call->which & 1U) != 0 && call->fd >= brief.lowest && call->fd <= brief.highest;
}

/* Whether no rule in force can have to do with the call, which has then been counted: what can be told at once, and
 * with one line of memory that the program has not just used. A system call has left little of ours in the caches. */
static inline bool fault_passes_over(const struct call *call, uint64_t word)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    uint64_t id = connection_id(word);
    if (atomic_load_explicit(&control->generation, memory_order_relaxed) != 0 || fault_connections == NULL ||
        fault_own.any.counts_bytes || fault_may_select(fault_own.any, call) || id == 0 ||
        (word & CONNECTION_DUPLICATED) != 0)
        return false;
    struct fault_connection *connection = &fault_connections[call->fd];
    const uint32_t tag = fault_tag(id, 0);
    uint64_t receives = atomic_load_explicit(&connection->receives, memory_order_relaxed);
    /* Not the first, and no `eof` before. Where another thread counts meanwhile, it is counted the long way. */
    return recvshim_counted(receives, tag) != 0 && fault_counted(&connection->ended, tag) == 0 &&
           atomic_compare_exchange_strong_explicit(&connection->receives, &receives, receives + 1, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* Whether a rule in force may have to do with the call, or an `eof` before has. Counts nothing. */
bool fault_concerns(const struct call *call, uint64_t word);

/* Look which rules are in force, and count the call on its connection. `word`: connection_word() of its descriptor. */
void fault_begin(const struct call *call, uint64_t word, struct fault_plan *plan);

/* Try the rules, of a plan that `selects`. `facts` holds the call, its socket's type (-1: to be asked for) and its
 * peer; the rest of it is filled in here. May change errno. */
void fault_plan(struct fault_facts *facts, const struct fault_questions *questions, struct fault_plan *plan);

/* Whether the rules or the connection are others by now, whose descriptor has that word: the plan is nothing to them.
 */
bool fault_is_over(const struct fault_plan *plan, uint64_t word);

/* Whether the rule that was chosen is also one for a datagram from there. */
bool fault_is_of(const struct fault_plan *plan, const struct recvshim_address *source);

/* Take one of the chosen rule's `times` for what is about to be done: false where none is left any more. Then either it
 * has acted, or it turned out that there was nothing to do, and it is given back. */
bool fault_reserve(const struct fault_plan *plan);
void fault_has_acted(const struct fault_plan *plan);
void fault_give_back(const struct fault_plan *plan);

/* The connection has ended for good, as far as the program can see. Of those that are not told apart none is. */
void fault_end(const struct fault_plan *plan);

/* So many bytes have been received, and not just looked at; the descriptor has that word by now. Any plan will do. */
void fault_received(const struct fault_plan *plan, uint64_t word, uint64_t bytes);

#endif
