#include "fault_rules.h"

#include "fault_grammar.h"
#include "fault_reach.h"
#include "names.h"

#include <string.h>

/* ---- what a problem says ---- */

#define RULE_SHOWN 100 /* characters of a rule's text */
#define WORD_SHOWN 40

/* Shortened where it is long; what could break the line or the terminal is masked. */
static void add_text(struct line *line, struct word text, size_t shown)
{
    size_t length = text.length <= shown ? text.length : shown;
    line_add(line, "'");
    for (size_t i = 0; i < length; i++) {
        bool plain = text.text[i] >= ' ' && text.text[i] <= '~';
        line_add_bytes(line, plain ? &text.text[i] : "?", 1);
    }
    line_add(line, length < text.length ? "...'" : "'");
}

/* A rule while it is read: its text, and where its parts stand in that. */
struct reading {
    struct word text;
    struct word calls, action, options[FAULT_OPTIONS]; /* none: not given, or not yet seen */
    struct recvshim_rule *rule;
    char *problem;
};

/* Say what is wrong with a word of the rule; what was expected is for the caller to add. */
static struct line begin_problem(const struct reading *reading, struct word word, const char *what)
{
    struct line line = {reading->problem, FAULT_PROBLEM_MAX, 0};
    line_add(&line, "in ");
    add_text(&line, reading->text, RULE_SHOWN);
    line_add(&line, " at character ");
    line_add_number(&line, (uint64_t)(word.text - reading->text.text) + 1);
    line_add(&line, ": ");
    if (word.length == 0)
        line_add(&line, "there is nothing");
    else {
        add_text(&line, word, WORD_SHOWN);
        line_add(&line, " ");
        line_add(&line, what);
    }
    line_add(&line, "; expected ");
    return line;
}

static bool refuse(const struct reading *reading, struct word word, const char *what, const char *expected)
{
    struct line line = begin_problem(reading, word, what);
    line_add(&line, expected);
    return false;
}

/* ---- the parts of a rule ---- */

/* Of a word that is none: where it would stand. */
static struct word or_end(const struct reading *reading, struct word word)
{
    return word.text != NULL ? word : word_from(reading->text, reading->text.length);
}

/* Take the part before the next colon; those in brackets belong to an IPv6 address. */
static struct word take_part(struct word *rest)
{
    const struct word whole = *rest;
    bool inside = false;
    for (size_t at = 0; at < whole.length; at++) {
        inside = whole.text[at] == '[' || (inside && whole.text[at] != ']');
        if (whole.text[at] == ':' && !inside) {
            *rest = word_from(whole, at + 1);
            return (struct word){whole.text, at};
        }
    }
    *rest = (struct word){NULL, 0};
    return whole;
}

static bool refuse_call(const struct reading *reading, struct word word)
{
    struct line line = begin_problem(reading, word, "is no call");
    line_add(&line, "* or a list of ");
    for (uint32_t i = 0; i < RECVSHIM_CALLS; i++) {
        line_add(&line, i == 0 ? "" : ", ");
        line_add(&line, call_names[i]);
    }
    return false;
}

static bool read_calls(struct reading *reading)
{
    struct word rest = reading->calls;
    if (word_is(rest, "*")) {
        reading->rule->calls = RECVSHIM_RULE_EVERY_CALL;
        return true;
    }
    while (rest.text != NULL) {
        struct word word = word_before(&rest, ",");
        int call = names_find(word.text, word.length, call_names, RECVSHIM_CALLS);
        if (call < 0)
            return refuse_call(reading, word);
        reading->rule->calls |= 1U << call;
    }
    return true;
}

static bool refuse_action(const struct reading *reading, struct word word)
{
    struct line line = begin_problem(reading, word, "is no action");
    for (uint32_t i = 0; i < RECVSHIM_ACTIONS; i++) {
        line_add(&line, i == 0 ? "" : ", ");
        line_add(&line, fault_actions[i].grammar);
    }
    return false;
}

static bool refuse_value(const struct reading *reading, struct word word, const char *name, const char *expected)
{
    char what[32];
    struct line line = {what, sizeof what, 0};
    line_add(&line, "is no value of ");
    line_add(&line, name);
    return refuse(reading, or_end(reading, word), what, expected);
}

static bool read_bound(const struct fault_action *action, struct word word, uint64_t *bound)
{
    return action->kind->read(word, bound) && *bound >= action->least && *bound <= action->most;
}

static bool read_value(struct reading *reading, struct word value)
{
    struct recvshim_rule *rule = reading->rule;
    const struct fault_action *action = &fault_actions[rule->action];
    const char *name = action_names[rule->action];
    if (action->kind == NULL)
        return value.text == NULL || refuse_value(reading, value, name, action->expected);
    struct word rest = value, low = action->ranged && value.text != NULL ? word_before(&rest, "..") : value;
    struct word high = action->ranged && rest.text != NULL ? rest : low;
    if (value.text == NULL || !read_bound(action, low, &rule->low))
        return refuse_value(reading, low, name, action->expected);
    if (!read_bound(action, high, &rule->high))
        return refuse_value(reading, high, name, action->expected);
    return rule->low <= rule->high || refuse_value(reading, value, name, action->expected);
}

static bool read_action(struct reading *reading)
{
    struct word value = reading->action;
    struct word name = value.text != NULL ? word_before(&value, "=") : or_end(reading, value);
    int action = names_find(name.text, name.length, action_names, RECVSHIM_ACTIONS);
    if (action < 0)
        return refuse_action(reading, name);
    reading->rule->action = (uint8_t)action;
    return read_value(reading, value);
}

static bool refuse_option(const struct reading *reading, struct word word)
{
    struct line line = begin_problem(reading, word, "is no option");
    for (size_t i = 0; i < FAULT_OPTIONS; i++) {
        line_add(&line, i == 0 ? "" : ", ");
        line_add(&line, fault_options[i].grammar);
    }
    return false;
}

static size_t find_option(struct word name)
{
    size_t index = 0;
    while (index < FAULT_OPTIONS && !word_is(name, fault_options[index].name))
        index++;
    return index;
}

static bool read_option(struct reading *reading, struct word part)
{
    struct word value = part;
    struct word name = word_before(&value, "=");
    size_t index = find_option(name);
    if (index == FAULT_OPTIONS)
        return refuse_option(reading, name);
    if (reading->options[index].text != NULL)
        return refuse(reading, part, "stands here a second time", "each option once");
    reading->options[index] = part;
    const struct fault_option *option = &fault_options[index];
    if (value.text == NULL)
        value = word_from(part, part.length);
    return option->form->read(option, value, reading->rule) ||
           refuse_value(reading, value, option->name, option->expected);
}

static bool refuse_contradiction(const struct reading *reading, const struct fault_contradiction *contradiction)
{
    struct word word = reading->action;
    if (contradiction->option != NULL)
        word = reading->options[find_option(word_of(contradiction->option))];
    return refuse(reading, word, contradiction->what, contradiction->expected);
}

static bool read_rule(struct reading *reading)
{
    struct word rest = reading->text;
    *reading->rule = fault_rule_unset;
    reading->calls = take_part(&rest);
    if (!read_calls(reading))
        return false;
    reading->action = rest.text != NULL ? take_part(&rest) : rest;
    if (!read_action(reading))
        return false;
    while (rest.text != NULL)
        if (!read_option(reading, take_part(&rest)))
            return false;
    const struct fault_contradiction *contradiction = fault_contradiction(reading->rule);
    return contradiction == NULL || refuse_contradiction(reading, contradiction);
}

/* ---- the rules of a text ---- */

struct source {
    const char *at;
    bool line_begins;
};

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static void skip_blank(struct source *source)
{
    for (; is_blank(*source->at) || *source->at == ';' || *source->at == '\n'; source->at++)
        if (!is_blank(*source->at))
            source->line_begins = *source->at == '\n';
}

/* The next rule, without the blanks around it; none at the end. */
static struct word next_rule(struct source *source)
{
    for (skip_blank(source); source->line_begins && *source->at == '#'; skip_blank(source))
        source->at += strcspn(source->at, "\n");
    if (*source->at == '\0')
        return (struct word){NULL, 0};
    struct word rule = {source->at, strcspn(source->at, ";\n")};
    source->at += rule.length;
    while (is_blank(rule.text[rule.length - 1]))
        rule.length--;
    return rule;
}

static struct word rule_at(const char *text, uint32_t index)
{
    struct source source = {text, true};
    struct word rule = next_rule(&source);
    while (index-- > 0)
        rule = next_rule(&source);
    return rule;
}

static void add_rule(struct line *line, const char *text, uint32_t index)
{
    line_add(line, "rule ");
    line_add_number(line, index + 1);
    line_add(line, " ");
    add_text(line, rule_at(text, index), RULE_SHOWN);
}

/* Whether the earlier rules leave anything to the last one. */
/* NOLINTNEXTLINE(readability-non-const-parameter): written by the line */
static bool can_act(const struct fault_rules *rules, const char *text, char problem[FAULT_PROBLEM_MAX])
{
    uint32_t last = rules->count - 1;
    for (uint32_t i = 0; i < last; i++) {
        if (!fault_always_first(&rules->rules[i], &rules->rules[last]))
            continue;
        struct line line = {problem, FAULT_PROBLEM_MAX, 0};
        add_rule(&line, text, last);
        line_add(&line, " can never act: ");
        add_rule(&line, text, i);
        line_add(&line, " always acts first");
        return false;
    }
    return true;
}

/* Of its connection's counters, the next one. */
_Static_assert(RECVSHIM_CONNECTION_COUNTERS == 8, "as the message below has it");
static bool take_counter(const struct reading *reading, uint16_t *taken)
{
    if (!fault_needs_counter(reading->rule))
        return true;
    if (*taken == RECVSHIM_CONNECTION_COUNTERS)
        return refuse(reading, reading->options[find_option(word_of("per"))],
                      "is needed by more rules than a connection can count for",
                      "at most 8 of them with times, or with when and any of CALLS, type, peer, port, fd and after");
    reading->rule->counter = (*taken)++;
    return true;
}

bool fault_rules_parse(const char *text, struct fault_rules *rules, char problem[FAULT_PROBLEM_MAX])
{
    struct source source = {text, true};
    struct word rule;
    uint16_t counters = 0;
    rules->count = 0;
    while ((rule = next_rule(&source)).text != NULL) {
        struct reading reading = {.text = rule, .rule = &rules->rules[rules->count], .problem = problem};
        if (rules->count == RECVSHIM_MAX_RULES)
            return refuse(&reading, rule, "is one rule too many", "at most 512");
        rules->count++;
        if (!read_rule(&reading) || !take_counter(&reading, &counters) || !can_act(rules, text, problem))
            return false;
    }
    return true;
}
