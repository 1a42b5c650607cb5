#include "fault_grammar.h"
#include "fault_rules.h"
#include "names.h"

static void add_calls(struct line *line, uint32_t calls)
{
    const char *separator = "";
    if (calls == RECVSHIM_RULE_EVERY_CALL)
        line_add(line, "*");
    for (uint32_t i = 0; i < RECVSHIM_CALLS && calls != RECVSHIM_RULE_EVERY_CALL; i++) {
        if ((calls >> i & 1U) == 0)
            continue;
        line_add(line, separator);
        line_add(line, call_names[i]);
        separator = ",";
    }
}

static void add_action(struct line *line, const struct recvshim_rule *rule)
{
    const struct fault_action *action = &fault_actions[rule->action];
    line_add(line, ":");
    line_add(line, action_names[rule->action]);
    if (action->kind == NULL)
        return;
    line_add(line, "=");
    action->kind->write(line, rule->low);
    if (rule->high == rule->low)
        return;
    line_add(line, "..");
    action->kind->write(line, rule->high);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written by the line */
size_t fault_rule_text(const struct recvshim_rule *rule, char text[FAULT_RULE_TEXT_MAX])
{
    struct line line = {text, FAULT_RULE_TEXT_MAX, 0};
    add_calls(&line, rule->calls);
    add_action(&line, rule);
    for (size_t i = 0; i < FAULT_OPTIONS; i++) {
        const struct fault_option *option = &fault_options[i];
        if (!option->form->is_set(option, rule))
            continue;
        line_add(&line, ":");
        line_add(&line, option->name);
        line_add(&line, "=");
        option->form->write(option, rule, &line);
    }
    return line.length;
}
