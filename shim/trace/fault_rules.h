/* Rules of fault injection, read from text and written as text. One parser, for the library and for the command. Pure;
 * libc only, and nothing is allocated.
 *
 *     CALLS:ACTION[:OPTION]...        recv,recvfrom:error=ECONNRESET:when=3..9+2:peer=127.0.0.1
 *
 * Rules are separated by `;` or by the end of a line; blank lines, and lines that begin with `#`, say nothing. Beside
 * what is in README there are two options that `recvshim show --format faults` writes: origin=HEX and draw=HEX. */
#ifndef FAULT_RULES_H
#define FAULT_RULES_H

#include "recvshim/trace.h"

#include <stdbool.h>
#include <stddef.h>

struct fault_rules {
    uint32_t count;
    struct recvshim_rule rules[RECVSHIM_MAX_RULES];
};

/* Why a text was refused: terminated, one line, for a person. It names the rule's text, the position in it, what is
 * wrong there and what was expected. */
#define FAULT_PROBLEM_MAX 512

/* Read a text; an empty one has no rules. Refused is what cannot be parsed, and a rule that can never act: by itself,
 * or because an earlier one always acts first. On failure *rules is undefined, and problem says why. */
bool fault_rules_parse(const char *text, struct fault_rules *rules, char problem[FAULT_PROBLEM_MAX]);

/* The rule's text, from which fault_rules_parse() makes the same rule (but for `counter`, which it gives out anew).
 * Options that have their default are left out. Terminated; returns its length. The rule must be valid. */
#define FAULT_RULE_TEXT_MAX 512
size_t fault_rule_text(const struct recvshim_rule *rule, char text[FAULT_RULE_TEXT_MAX]);

/* Whether any bytes are a rule that fault_rules_parse() can make: what is in a control page was written by somebody
 * else, and is copied before it is asked about. */
bool fault_rule_valid(const struct recvshim_rule *rule);

/* Whether its `when` is any. */
static inline bool fault_rule_is_always_due(const struct recvshim_rule *rule)
{
    return rule->first == 1 && rule->last == UINT64_MAX && rule->step == 1;
}

/* Whether the rule selects every receive of the connections that it has to do with. With RECVSHIM_PER_CONNECTION its
 * `when` then counts what the connection counts anyway, and needs no counter of its own. */
bool fault_rule_counts_every_call(const struct recvshim_rule *rule);

#endif
