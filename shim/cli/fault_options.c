#include "fault_options.h"

#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_FAULT = 256 };

static const struct argp_option rows[] = {
    {"fault", KEY_FAULT, "RULE", 0,
     "Inject a fault, as recv:error=ECONNRESET:when=3..9+2; may be given again, and hold several rules, or a file of "
     "them: \"$(cat FILE)\"",
     0},
    {0},
};

static void check(const char *text, struct fault_rules *rules)
{
    char problem[FAULT_PROBLEM_MAX];
    if (!fault_rules_parse(text, rules, problem))
        message_usage("--fault: %s", problem);
}

/* Alone first: what is wrong with one is better said without the others before it. */
static void add(struct fault_options *options, const char *rule)
{
    char *before = options->text, *all;
    /* A comment is a line of its own. */
    bool comments = strchr(rule, '#') != NULL || (before != NULL && strchr(before, '#') != NULL);
    const char *separator = before == NULL ? "" : comments ? "\n" : ";";
    check(rule, &options->rules);
    if (asprintf(&all, "%s%s%s", before != NULL ? before : "", separator, rule) < 0)
        message_usage("--fault: %s", strerror(ENOMEM));
    free(before);
    options->text = all;
    options->given = true;
}

static error_t take(int key, char *value, struct argp_state *state)
{
    struct fault_options *options = state->input;
    switch (key) {
    case KEY_FAULT:
        add(options, value);
        return 0;
    case ARGP_KEY_END:
        if (options->given)
            check(options->text, &options->rules);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp fault_argp = {rows, take, NULL, NULL, NULL, NULL, NULL};
