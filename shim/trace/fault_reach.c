#include "fault_reach.h"

#include "calls.h"
#include "fault_grammar.h"
#include "fault_rules.h"

#include <string.h>

/* The receives on which a rule acts, as far as its action, `type` and CALLS say. */
struct reach {
    uint32_t calls;
    uint32_t types;
    uint32_t needs;
};

static struct reach reach_of(const struct recvshim_rule *rule)
{
    const struct fault_action *action = &fault_actions[rule->action];
    bool addressed = (action->needs & FAULT_NEEDS_ADDRESS) != 0;
    return (struct reach){.calls = rule->calls & (addressed ? CALLS_WITH_ADDRESS : CALLS_ALL),
                          .types = action->types & (rule->type != 0 ? 1U << rule->type : UINT32_MAX),
                          .needs = action->needs};
}

/* ---- contradictions ---- */

static bool meets_no_type(const struct recvshim_rule *rule)
{
    return reach_of(rule).types == 0;
}

static bool meets_no_call(const struct recvshim_rule *rule)
{
    return reach_of(rule).calls == 0;
}

static bool delays_nothing(const struct recvshim_rule *rule)
{
    return rule->action == RECVSHIM_ACTION_DELAY && rule->high == 0;
}

static bool draws_nothing(const struct recvshim_rule *rule)
{
    return rule->action != RECVSHIM_ACTION_CORRUPT && rule->draw != 0;
}

static const struct fault_contradiction contradictions[] = {
    {meets_no_type, "type", "can never meet this action",
     "type=stream with eof and short, type=dgram with truncate, drop and scope"},
    {meets_no_call, NULL, "can never act on recv, read and readv, which give no address",
     "recvfrom, recvmsg or recvmmsg among the calls"},
    {delays_nothing, NULL, "delays nothing", "a time above 0"},
    {draws_nothing, "draw", "can never meet this action", "it with corrupt alone"},
};
#define CONTRADICTIONS (sizeof contradictions / sizeof contradictions[0])

const struct fault_contradiction *fault_contradiction(const struct recvshim_rule *rule)
{
    for (size_t i = 0; i < CONTRADICTIONS; i++)
        if (contradictions[i].holds(rule))
            return &contradictions[i];
    return NULL;
}

/* ---- counting ---- */

bool fault_rule_counts_every_call(const struct recvshim_rule *rule)
{
    return (rule->calls & CALLS_ALL) == CALLS_ALL && rule->type == 0 && rule->family == 0 && rule->port == 0 &&
           rule->fd < 0 && rule->after == 0;
}

bool fault_needs_counter(const struct recvshim_rule *rule)
{
    return rule->per == RECVSHIM_PER_CONNECTION &&
           (rule->times != 0 || (!fault_rule_is_always_due(rule) && !fault_rule_counts_every_call(rule)));
}

/* ---- one rule before another ---- */

static bool has_all(uint32_t set, uint32_t part)
{
    return (part & ~set) == 0;
}

static bool has_peers(const struct recvshim_rule *wide, const struct recvshim_rule *narrow)
{
    if (wide->family == 0)
        return true;
    unsigned int whole = wide->peer_bits / 8, rest = wide->peer_bits % 8;
    return wide->family == narrow->family && wide->peer_bits <= narrow->peer_bits &&
           memcmp(wide->peer, narrow->peer, whole) == 0 &&
           (rest == 0 || (wide->peer[whole] ^ narrow->peer[whole]) >> (8 - rest) == 0);
}

/* Whether every receive that the second selects is one that the first does. */
static bool selects_all(const struct recvshim_rule *wide, const struct recvshim_rule *narrow)
{
    const struct reach far = reach_of(wide), near = reach_of(narrow);
    return has_all(far.calls, near.calls) && has_all(far.types, near.types) && has_all(near.needs, far.needs) &&
           (wide->fd < 0 || wide->fd == narrow->fd) && (wide->port == 0 || wide->port == narrow->port) &&
           (wide->origin == 0 || wide->origin == narrow->origin) && wide->after <= narrow->after &&
           has_peers(wide, narrow);
}

static bool select_the_same(const struct recvshim_rule *one, const struct recvshim_rule *other)
{
    return selects_all(one, other) && selects_all(other, one);
}

/* The last of its counts that is one of its `when`. */
static uint64_t last_due(const struct recvshim_rule *rule)
{
    return rule->last - (rule->last - rule->first) % rule->step;
}

/* Whether every count of the later rule's `when` is one of the earlier's. */
static bool is_due_at_all(const struct recvshim_rule *earlier, const struct recvshim_rule *later)
{
    bool once = last_due(later) == later->first;
    return later->first >= earlier->first && last_due(later) <= earlier->last &&
           (later->first - earlier->first) % earlier->step == 0 && (once || later->step % earlier->step == 0);
}

bool fault_always_first(const struct recvshim_rule *earlier, const struct recvshim_rule *later)
{
    if (earlier->action == RECVSHIM_ACTION_DELAY || later->action == RECVSHIM_ACTION_DELAY ||
        earlier->chance != RECVSHIM_CHANCE_ALWAYS || earlier->times != 0)
        return false;
    if (fault_rule_is_always_due(earlier))
        return selects_all(earlier, later);
    /* Counts can be compared only where both rules count the same receives, for the same. */
    return earlier->per == later->per && select_the_same(earlier, later) && is_due_at_all(earlier, later);
}
