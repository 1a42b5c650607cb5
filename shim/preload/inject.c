#include "inject.h"

#include "buffers.h"
#include "connection.h"
#include "fault.h"
#include "inject_actions.h"
#include "inject_look.h"
#include "query.h"
#include "receive.h"
#include "report.h"
#include "vfork.h"

#include "trace/calls.h"

#include <errno.h>
#include <sys/socket.h>

/* While the call slept the descriptor may have become another connection's, which it then receives from, and other
 * rules may have been set: either way the plan is over. */
static bool is_over(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    outcome->word = connection_word(call->fd);
    if (connection_id(outcome->word) == 0)
        outcome->word = receive_identified(call->fd, outcome->word);
    return fault_is_over(plan, outcome->word);
}

static const struct fault_questions questions = {.type = inject_type, .tell = report_fault};

/* Try the rules, and do what they say. `failed`: the look at the peer has, and so has the call. */
static void follow_rules(const struct call *call, struct fault_facts *facts, bool failed, struct fault_plan *plan,
                         struct outcome *outcome)
{
    bool over = outcome->waited && is_over(call, plan, outcome);
    if (!over)
        fault_plan(facts, &questions, plan);
    if (plan->delay != 0 && !inject_delay(call, plan->delay, outcome))
        return;
    over = over || (plan->delay != 0 && is_over(call, plan, outcome));
    if (over && !failed)
        inject_obtain(call, outcome);
    else if (!over && plan->ended)
        inject_ended(call, outcome);
    else if (!over && (!failed || plan->fault.action == RECVSHIM_ACTION_ERROR))
        inject_action(call, plan, outcome); /* else there was nothing that a fault can be done to */
}

/* Find out what the rules look at, and follow them. Out of line: most calls are left alone. */
__attribute__((noinline)) static void try_rules(const struct call *call, struct fault_plan *plan,
                                                struct outcome *outcome)
{
    struct fault_facts facts = {.call = call, .type = connection_type(outcome->word), .may_sleep = !query_filtered()};
    if (facts.type == 0)
        facts.type = -1;
    const bool failed = plan->asks_peer && !inject_find_peer(call, outcome, &facts);
    /* An error of the socket's that the look took off is not covered up. */
    if (failed && outcome->error != EAGAIN && outcome->error != EINTR)
        return;
    if (plan->asks_peer && facts.has_peer)
        plan->fault.source = &facts.peer;
    follow_rules(call, &facts, failed, plan, outcome);
    plan->fault.source = NULL; /* it is among the facts */
}

/* A child of vfork has its parent's memory, and may have anything under its parent's numbers: what rules count is not
 * its own, and is left alone. */
void inject(const struct call *call, struct outcome *outcome)
{
    /* A read of nothing is no receive to the kernel. */
    bool asks_nothing = (CALLS_ON_FILES >> call->which & 1U) != 0 && buffers_size(call) == 0;
    if (vfork_in_child() || asks_nothing) {
        receive_obtain(call, outcome);
        return;
    }
    const bool data = (call->flags & (MSG_ERRQUEUE | MSG_OOB)) == 0;
    struct fault_plan plan;
    fault_begin(call, outcome->word, &plan);
    plan.ended &= data;
    if (plan.selects)
        try_rules(call, &plan, outcome);
    else if (plan.ended)
        inject_ended(call, outcome);
    else
        receive_obtain(call, outcome);
    if (outcome->result > 0 && data && (call->flags & MSG_PEEK) == 0)
        fault_received(&plan, connection_word(call->fd), (uint64_t)outcome->result);
}
