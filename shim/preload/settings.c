#include "settings.h"

#include "trace/fault_rules.h"
#include "trace/line.h"
#include "trace/names.h"
#include "trace/signal_names.h"

#include <limits.h>
#include <string.h>

/* The index of a word in a list that NULL ends, or -1. */
static int choose(const char *word, const char *const words[])
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

/* Read a decimal number that ends the text, or is followed by one of the suffixes; *end is the suffix. */
static bool read_number(const char *text, uint64_t *number, const char **end)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(value, 10U, &value) || __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    *number = value;
    *end = at;
    return at != text;
}

static bool parse_trace(struct settings *settings, const char *value)
{
    char path[PATH_MAX];
    if (!settings_expand_path(value, UINT32_MAX, path, sizeof path))
        return false;
    settings->trace_path = value;
    return true;
}

static bool parse_size(struct settings *settings, const char *value)
{
    uint64_t number;
    const char *suffix;
    if (!read_number(value, &number, &suffix))
        return false;
    static const char *const suffixes[] = {"", "K", "M", "G", NULL};
    int power = choose(suffix, suffixes);
    if (power < 0 || number > TRACE_SIZE_MAX >> (10 * power))
        return false;
    number <<= 10 * power;
    if (number < TRACE_SIZE_MIN)
        return false;
    settings->trace.size = number;
    return true;
}

static bool parse_full(struct settings *settings, const char *value)
{
    static const char *const modes[] = {"overwrite", "stop", NULL};
    int mode = choose(value, modes);
    if (mode < 0)
        return false;
    settings->trace.mode = (uint32_t)mode;
    return true;
}

static bool parse_switch(bool *target, const char *value)
{
    static const char *const positions[] = {"off", "on", NULL};
    int position = choose(value, positions);
    if (position < 0)
        return false;
    *target = position == 1;
    return true;
}

static bool parse_tracing(struct settings *settings, const char *value)
{
    return parse_switch(&settings->trace.tracing, value);
}

static bool parse_duration(struct settings *settings, const char *value)
{
    return parse_switch(&settings->duration, value);
}

static bool parse_events(struct settings *settings, const char *value)
{
    return names_parse_set(value, event_names, RECVSHIM_EVENTS, &settings->trace.events);
}

static bool parse_calls(struct settings *settings, const char *value)
{
    return names_parse_set(value, call_names, RECVSHIM_CALLS, &settings->calls);
}

static bool parse_eintr(struct settings *settings, const char *value)
{
    static const char *const policies[] = {"always", "intent", "restart", "never", NULL};
    int policy = choose(value, policies);
    if (policy < 0)
        return false;
    settings->eintr = (enum eintr_policy)policy;
    return true;
}

static bool parse_eintr_pass(struct settings *settings, const char *value)
{
    return signal_names_parse(value, &settings->eintr_pass);
}

static bool parse_scope(struct settings *settings, const char *value)
{
    static const char *const policies[] = {"canonical", "strip", "kame", "keep", NULL};
    int policy = choose(value, policies);
    if (policy < 0)
        return false;
    settings->scope = (enum scope_policy)policy;
    return true;
}

static bool parse_lookup(struct settings *settings, const char *value)
{
    static const char *const policies[] = {"auto", "on", "off", NULL};
    int policy = choose(value, policies);
    if (policy < 0)
        return false;
    settings->lookup = (enum lookup_policy)policy;
    return true;
}

static bool parse_seed(struct settings *settings, const char *value)
{
    uint64_t number = 0;
    const char *end = "";
    bool random = strcmp(value, "random") == 0;
    if (!random && (!read_number(value, &number, &end) || *end != '\0'))
        return false;
    settings->trace.seeded = !random;
    settings->trace.seed = number;
    return true;
}

/* What is accepted, and what was wrong with the last value that was not. The constructor and the command have one
 * thread yet. */
#define FAULT_ACCEPTED "rules as CALLS:ACTION[:OPTION]...: "
static char fault_accepted[sizeof FAULT_ACCEPTED + FAULT_PROBLEM_MAX] = FAULT_ACCEPTED;

static bool parse_fault(struct settings *settings, const char *value)
{
    static struct fault_rules rules; /* too large for a stack */
    if (!fault_rules_parse(value, &rules, fault_accepted + sizeof FAULT_ACCEPTED - 1))
        return false;
    settings->fault = value;
    return true;
}

static void trace_nothing(struct settings *settings)
{
    settings->trace_path = NULL;
}

static void measure_nothing(struct settings *settings)
{
    settings->duration = false;
}

static void handle_nothing(struct settings *settings)
{
    settings->calls = 0;
}

static void retry_nothing(struct settings *settings)
{
    settings->eintr = EINTR_NEVER;
}

static void keep_scopes(struct settings *settings)
{
    settings->scope = SCOPE_KEEP;
}

static void look_nothing_up(struct settings *settings)
{
    settings->lookup = LOOKUP_OFF;
}

static void inject_nothing(struct settings *settings)
{
    settings->fault = NULL;
}

#define EVENT_LIST(id, name, meaning) name ", "
#define CALL_LIST(id, name)           name ", "
#define NOTHING_TRACED                "nothing is traced"

static const struct setting {
    const char *name;
    bool (*parse)(struct settings *settings, const char *value);
    const char *accepted;
    void (*switch_off)(struct settings *settings);
    const char *consequence;
} table[] = {
    {"TRACE", parse_trace, "a path in which %p is the pid and %% a percent sign", trace_nothing, NOTHING_TRACED},
    {"SIZE", parse_size, "16K or more, in bytes or with K, M, G", trace_nothing, NOTHING_TRACED},
    {"FULL", parse_full, "overwrite or stop", trace_nothing, NOTHING_TRACED},
    {"TRACING", parse_tracing, "on or off", trace_nothing, NOTHING_TRACED},
    {"EVENTS", parse_events, "all, or a list of " RECVSHIM_EVENT_TABLE(EVENT_LIST) "separated by commas", trace_nothing,
     NOTHING_TRACED},
    {"DURATION", parse_duration, "on or off", measure_nothing, "durations are not measured"},
    {"CALLS", parse_calls, "all, or a list of " RECVSHIM_CALL_TABLE(CALL_LIST) "separated by commas", handle_nothing,
     "no call is handled"},
    {"EINTR", parse_eintr, "always, intent, restart or never", retry_nothing, "interrupted receives are not retried"},
    {"EINTR_PASS", parse_eintr_pass, "a list of signals such as TERM,INT,ALRM, without KILL and STOP", retry_nothing,
     "interrupted receives are not retried"},
    {"SCOPE", parse_scope, "canonical, strip, kame or keep", keep_scopes, "scope ids are not normalised"},
    {"LOOKUP", parse_lookup, "auto, on or off", look_nothing_up, "nothing is looked up"},
    {"FAULT", parse_fault, fault_accepted, inject_nothing, "no fault is injected"},
    {"SEED", parse_seed, "random, or an integer from 0 to 18446744073709551615", trace_nothing, NOTHING_TRACED},
};
#define SETTINGS (sizeof table / sizeof table[0])

const char *settings_name(size_t index)
{
    return index < SETTINGS ? table[index].name : NULL;
}

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const char *settings_parse(struct settings *settings, const char *name, const char *value)
{
    const struct setting *setting = find(name);
    if (setting == NULL)
        return "no such setting";
    return setting->parse(settings, value) ? NULL : setting->accepted;
}

const char *settings_switch_off(struct settings *settings, const char *name)
{
    const struct setting *setting = find(name);
    if (setting == NULL)
        return "no such setting";
    setting->switch_off(settings);
    return setting->consequence;
}

bool settings_expand_path(const char *pattern, uint32_t pid, char *path, size_t size)
{
    struct line line = {path, size, 0};
    path[0] = '\0';
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '%')
            line_add_bytes(&line, at, 1);
        else if (*++at == 'p')
            line_add_number(&line, pid);
        else if (*at == '%')
            line_add(&line, "%");
        else
            return false;
    }
    return line.length > 0 && line.length + 1 < size;
}
