#include "fault_grammar.h"
#include "fault_reach.h"
#include "fault_rules.h"

static bool calls_are_good(uint32_t calls)
{
    return calls == RECVSHIM_RULE_EVERY_CALL || (calls != 0 && calls >> RECVSHIM_CALLS == 0);
}

static bool action_is_good(const struct recvshim_rule *rule)
{
    if (rule->action >= RECVSHIM_ACTIONS)
        return false;
    const struct fault_action *action = &fault_actions[rule->action];
    return rule->low >= action->least && rule->high <= action->most && rule->low <= rule->high &&
           (action->ranged || rule->low == rule->high);
}

static bool options_are_good(const struct recvshim_rule *rule)
{
    for (size_t i = 0; i < FAULT_OPTIONS; i++)
        if (!fault_options[i].form->is_good(&fault_options[i], rule))
            return false;
    return true;
}

static bool counter_is_good(const struct recvshim_rule *rule)
{
    return fault_needs_counter(rule) ? rule->counter < RECVSHIM_CONNECTION_COUNTERS
                                     : rule->counter == RECVSHIM_NO_COUNTER;
}

bool fault_rule_valid(const struct recvshim_rule *rule)
{
    return calls_are_good(rule->calls) && action_is_good(rule) && options_are_good(rule) && counter_is_good(rule) &&
           rule->reserved == 0 && fault_contradiction(rule) == NULL;
}
