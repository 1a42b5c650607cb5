/* --fault RULE: rules of fault injection as options, each of which may also be several, or a file's. */
#ifndef FAULT_OPTIONS_H
#define FAULT_OPTIONS_H

#include "trace/fault_rules.h"

#include <argp.h>
#include <stdbool.h>

/* All zero at first. */
struct fault_options {
    bool given;
    char *text; /* all of them, as RECVSHIM_FAULT has them: for as long as the program runs; NULL: none */
    struct fault_rules rules;
};

/* A subcommand gives it to its argp, and its input on ARGP_KEY_INIT; a bad rule ends the program with a message. Rules
 * must be good alone, and all together. */
extern const struct argp fault_argp;

#endif
