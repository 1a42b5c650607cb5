/* libFuzzer: rules of fault injection, as text; after a first byte of 0 the bytes of a rule instead, as a hostile
 * control page may have them.
 *
 * Of a text: whatever is parsed is valid, and its text is the same rule again; whatever is refused is explained on one
 * line. Of bytes: whatever is valid has a text, from which the same rule is parsed. They are laid over a good rule by
 * exclusive or, so that most of them change little in it. */
#include "tests/blank_rule.h"
#include "trace/fault_rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool same_but_for_counter(struct recvshim_rule left, struct recvshim_rule right)
{
    left.counter = right.counter = 0;
    return memcmp(&left, &right, sizeof left) == 0;
}

static void check_problem(const char problem[FAULT_PROBLEM_MAX])
{
    const char *end = memchr(problem, '\0', FAULT_PROBLEM_MAX);
    check(end != NULL && end - problem > 10);
    for (; problem != end; problem++)
        check(*problem >= ' ' && *problem <= '~');
}

static void check_round_trip(const struct recvshim_rule *rule)
{
    static struct fault_rules rules;
    char text[FAULT_RULE_TEXT_MAX], again[FAULT_RULE_TEXT_MAX], problem[FAULT_PROBLEM_MAX];
    check(fault_rule_text(rule, text) == strlen(text) && strlen(text) < sizeof text - 1);
    check(fault_rules_parse(text, &rules, problem));
    check(rules.count == 1 && same_but_for_counter(rules.rules[0], *rule));
    fault_rule_text(&rules.rules[0], again);
    check(strcmp(text, again) == 0);
}

static void try_text(const uint8_t *bytes, size_t size)
{
    static struct fault_rules rules;
    char problem[FAULT_PROBLEM_MAX];
    char *text = malloc(size + 1); /* of its own, so that a byte too far is seen */
    check(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    memset(problem, 0xff, sizeof problem);
    if (!fault_rules_parse(text, &rules, problem)) {
        check_problem(problem);
    } else {
        check(rules.count <= RECVSHIM_MAX_RULES);
        for (uint32_t i = 0; i < rules.count; i++) {
            check(fault_rule_valid(&rules.rules[i]));
            check_round_trip(&rules.rules[i]);
        }
    }
    free(text);
}

static void try_rule(const uint8_t *bytes, size_t size)
{
    struct recvshim_rule rule = {.calls = RECVSHIM_RULE_EVERY_CALL, .action = RECVSHIM_ACTION_DROP, NO_OPTIONS};
    for (size_t i = 0; i < size && i < sizeof rule; i++)
        ((uint8_t *)&rule)[i] ^= bytes[i];
    if (fault_rule_valid(&rule))
        check_round_trip(&rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 0 && bytes[0] == '\0')
        try_rule(bytes + 1, size - 1);
    else
        try_text(bytes, size);
    return 0;
}
