/* The tables of the grammar of fault_rules.h: what each action and each option takes. For the parser, for what writes a
 * rule as text, and for what says whether a rule is one. */
#ifndef FAULT_GRAMMAR_H
#define FAULT_GRAMMAR_H

#include "fault_values.h"

#include "recvshim/trace.h"

/* What an action asks of a receive beside its socket's type. */
enum {
    FAULT_NEEDS_DATA = 1,    /* the socket's data: neither MSG_OOB nor MSG_ERRQUEUE */
    FAULT_NEEDS_ADDRESS = 2, /* the sender's address */
    FAULT_NEEDS_TAKING = 4,  /* to take the data, and not just to look at it by MSG_PEEK */
};

struct fault_action {
    const char *grammar;           /* as a message lists it: "short=N[..M]" */
    const struct fault_kind *kind; /* of its value; NULL: it takes none */
    bool ranged;                   /* N..M may stand for the value */
    uint64_t least, most;          /* of the value */
    const char *expected;          /* of the value, as a message says it */
    uint32_t types;                /* sockets on which it acts: bit N for type N, bit 0 for one that is not known */
    uint32_t needs;                /* set of FAULT_NEEDS_* */
};
extern const struct fault_action fault_actions[]; /* RECVSHIM_ACTIONS of them, by enum recvshim_action */

/* An option sets fields of a rule, which have a default where it is not given. */
struct fault_option {
    const char *name;
    const char *grammar;  /* as a message lists it: "times=N" */
    const char *expected; /* of the value */
    const struct fault_form *form;
    /* Of an option that is one number in one field: */
    const struct fault_kind *kind;
    size_t offset, size;
    uint64_t unset; /* the default */
    uint64_t least, most;
};

struct fault_form {
    bool (*read)(const struct fault_option *option, struct word value, struct recvshim_rule *rule);
    void (*write)(const struct fault_option *option, const struct recvshim_rule *rule, struct line *line);
    bool (*is_set)(const struct fault_option *option, const struct recvshim_rule *rule); /* to no default */
    bool (*is_good)(const struct fault_option *option, const struct recvshim_rule *rule);
};

#define FAULT_OPTIONS 11U
extern const struct fault_option fault_options[FAULT_OPTIONS];

/* A rule that has all its defaults, and no calls. */
extern const struct recvshim_rule fault_rule_unset;

#endif
