#include "injection.h"

#include "trace/fault_grammar.h"
#include "trace/fault_rules.h"
#include "trace/line.h"
#include "trace/names.h"

void actions_for_each(uint32_t set, void (*each)(void *context, const char *name), void *context)
{
    for (uint32_t i = 0; i < RECVSHIM_ACTIONS; i++)
        if ((set >> i & 1) != 0)
            each(context, action_names[i]);
    if (set >> RECVSHIM_ACTIONS != 0)
        each(context, "unknown");
}

struct injection injection_of(const struct recvshim_record *record)
{
    uint32_t set = record->injected;
    bool one = set != 0 && (set & (set - 1)) == 0 && set >> RECVSHIM_ACTIONS == 0;
    enum recvshim_action action = one ? (enum recvshim_action)__builtin_ctz(set) : RECVSHIM_ACTIONS;
    return (struct injection){.action = action,
                              .has_value = !one || fault_actions[action].kind != NULL,
                              .value = (uint64_t)record->result,
                              .rule = record->rule,
                              .ordinal = record->ordinal,
                              .origin = record->injection.origin,
                              .draw = action == RECVSHIM_ACTION_CORRUPT ? record->injection.draw : 0};
}

const char *action_name(uint32_t action)
{
    return action < RECVSHIM_ACTIONS ? action_names[action] : "unknown";
}

/* A rule of that action and value for every receive. */
static struct recvshim_rule rule_of(const struct injection *injection)
{
    struct recvshim_rule rule = fault_rule_unset;
    rule.calls = RECVSHIM_RULE_EVERY_CALL;
    rule.action = (uint8_t)injection->action;
    rule.low = rule.high = injection->value;
    return rule;
}

bool injection_rule(const struct injection *injection, struct recvshim_rule *rule)
{
    *rule = rule_of(injection);
    rule->per = RECVSHIM_PER_CONNECTION;
    rule->first = rule->last = injection->ordinal;
    rule->origin = injection->origin;
    rule->draw = injection->draw;
    /* An origin or draw of 0 would be any. */
    return injection->action < RECVSHIM_ACTIONS && injection->ordinal != 0 && injection->origin != 0 &&
           (injection->action != RECVSHIM_ACTION_CORRUPT || injection->draw != 0) && fault_rule_valid(rule);
}

void injection_words(const struct injection *injection, char words[INJECTION_WORDS_MAX])
{
    static const char every_call[] = "*:";
    const struct recvshim_rule rule = rule_of(injection);
    struct line line = {words, INJECTION_WORDS_MAX, 0};
    words[0] = '\0';
    if (injection->action < RECVSHIM_ACTIONS && fault_rule_valid(&rule)) {
        char text[FAULT_RULE_TEXT_MAX];
        fault_rule_text(&rule, text);
        line_add(&line, text + sizeof every_call - 1);
        return;
    }
    line_add(&line, action_name(injection->action));
    if (injection->has_value) {
        line_add(&line, "=");
        line_add_number(&line, injection->value);
    }
}
