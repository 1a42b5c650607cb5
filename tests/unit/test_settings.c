#include "settings.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct settings defaults = SETTINGS_DEFAULT;

static struct settings accepted(const char *name, const char *value)
{
    struct settings settings = defaults;
    const char *problem = settings_parse(&settings, name, value);
    cr_expect_null(problem, "%s=%s: %s", name, value, problem);
    return settings;
}

/* Refused with a phrase, and nothing changed. */
static void refused(const char *name, const char *value)
{
    struct settings settings = defaults;
    cr_expect_not_null(settings_parse(&settings, name, value), "%s=%s", name, value);
    cr_expect_arr_eq(&settings, &defaults, sizeof settings, "%s=%s", name, value);
}

Test(settings, sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"16384", 16384},           {"16K", 16384},
        {"16M", 16 << 20},          {"1G", 1 << 30},
        {"00016K", 16384},          {"17592186044416", TRACE_SIZE_MAX},
        {"16384G", TRACE_SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(accepted("SIZE", rows[i].text).trace.size, rows[i].bytes, "%s", rows[i].text);
    static const char *const bad[] = {"",
                                      "K",
                                      "16",
                                      "16383",
                                      "15K",
                                      "16k",
                                      "16KB",
                                      "16 K",
                                      "-16K",
                                      "+16K",
                                      "0x4000",
                                      "1T",
                                      "16.5K",
                                      "16385G",
                                      "1e6",
                                      "17592186044417",
                                      "18446744073709551616",
                                      "18446744073709551615G"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused("SIZE", bad[i]);
}

Test(settings, words)
{
    cr_expect_eq(accepted("EINTR", "never").eintr, EINTR_NEVER);
    cr_expect_eq(accepted("EINTR", "always").eintr, EINTR_ALWAYS);
    cr_expect_eq(accepted("SCOPE", "canonical").scope, SCOPE_CANONICAL);
    cr_expect_eq(accepted("SCOPE", "strip").scope, SCOPE_STRIP);
    cr_expect_eq(accepted("SCOPE", "kame").scope, SCOPE_KAME);
    cr_expect_eq(accepted("SCOPE", "keep").scope, SCOPE_KEEP);
    cr_expect_eq(accepted("FULL", "overwrite").trace.mode, RECVSHIM_MODE_OVERWRITE);
    cr_expect_eq(accepted("FULL", "stop").trace.mode, RECVSHIM_MODE_STOP);
    cr_expect_not(accepted("TRACING", "off").trace.tracing);
    cr_expect(accepted("TRACING", "on").trace.tracing);
    cr_expect(accepted("DURATION", "on").duration);
    static const char *const names[] = {"EINTR", "SCOPE", "FULL", "TRACING", "DURATION"};
    static const char *const bad[] = {"", "x", "On", "neve", "nevers", "stop ", "keep,strip"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++)
            refused(names[i], bad[j]);
}

Test(settings, lists)
{
    cr_expect_eq(accepted("EVENTS", "all").trace.events, RECVSHIM_EVENTS_ALL);
    cr_expect_eq(accepted("EVENTS", "receive").trace.events, 1U << RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(accepted("EVENTS", "would-block,error").trace.events,
                 1U << RECVSHIM_EVENT_WOULD_BLOCK | 1U << RECVSHIM_EVENT_ERROR);
    cr_expect_eq(accepted("CALLS", "recv").calls, 1U << RECVSHIM_CALL_RECV);
    cr_expect_eq(accepted("CALLS", "recvfrom,recv").calls, defaults.calls);
    static const char *const bad[] = {"", ",", "recv,", ",recv", "recv,,recvfrom", "rec", "recvx", "all,recv", "RECV"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused("CALLS", bad[i]);
        refused("EVENTS", bad[i]);
    }
}

Test(settings, seeds)
{
    cr_expect(accepted("SEED", "0").trace.seeded);
    cr_expect_eq(accepted("SEED", "18446744073709551615").trace.seed, UINT64_MAX);
    cr_expect_not(accepted("SEED", "random").trace.seeded);
    refused("SEED", "18446744073709551616");
    refused("SEED", "-1");
    refused("SEED", "1x");
    refused("SEED", "");
}

Test(settings, paths)
{
    char path[32];
    cr_expect(settings_expand_path("/a/%p.%%.%p", 4294967295U, path, sizeof path));
    cr_expect_str_eq(path, "/a/4294967295.%.4294967295");
    cr_expect(settings_expand_path("relative", 1, path, sizeof path));
    cr_expect_str_eq(path, "relative");
    cr_expect_not(settings_expand_path("%", 1, path, sizeof path));
    cr_expect_not(settings_expand_path("a%d", 1, path, sizeof path));
    cr_expect_not(settings_expand_path("", 1, path, sizeof path));
    cr_expect_not(settings_expand_path("0123456789012345678901234567890123", 1, path, sizeof path), "never cut");
    cr_expect_str_eq(accepted("TRACE", "/a/%p").trace_path, "/a/%p");
    refused("TRACE", "/a/%d");
}

Test(settings, look_ups)
{
    cr_expect_eq(accepted("LOOKUP", "auto").lookup, LOOKUP_AUTO);
    cr_expect_eq(accepted("LOOKUP", "on").lookup, LOOKUP_ON);
    cr_expect_eq(accepted("LOOKUP", "off").lookup, LOOKUP_OFF);
    refused("LOOKUP", "never");
}

Test(settings, faults)
{
    static const char value[] = "recv:eof;*:delay=1ms";
    cr_expect_eq(accepted("FAULT", value).fault, value, "the value itself is kept");
    cr_expect_not_null(accepted("FAULT", "# nothing yet").fault);
    struct settings settings = defaults;
    cr_expect_str_eq(settings_parse(&settings, "FAULT", "recv:eof:fd=x"),
                     "rules as CALLS:ACTION[:OPTION]...: in 'recv:eof:fd=x' at character 13: 'x' is no value of fd; "
                     "expected a descriptor, 0 to 2147483647");
    cr_expect_str_eq(settings_parse(&settings, "FAULT", "*:eof;*:drop;*:eof:fd=1"),
                     "rules as CALLS:ACTION[:OPTION]...: rule 3 '*:eof:fd=1' can never act: rule 1 '*:eof' always acts "
                     "first");
    refused("FAULT", "recv");
    settings.fault = value;
    cr_expect_str_eq(settings_switch_off(&settings, "FAULT"), "no fault is injected");
    cr_expect_null(settings.fault);
}

Test(settings, every_name_can_be_switched_off)
{
    const char *name;
    size_t count = 0;
    for (; (name = settings_name(count)) != NULL; count++) {
        struct settings settings = defaults;
        settings.trace_path = "/a";
        cr_expect_not_null(settings_switch_off(&settings, name), "%s", name);
    }
    cr_expect_eq(count, 13, "the variables of the contract, and LOOKUP");
    struct settings settings = defaults;
    settings.trace_path = "/a";
    settings_switch_off(&settings, "SIZE");
    cr_expect_null(settings.trace_path);
    settings_switch_off(&settings, "EINTR");
    cr_expect_eq(settings.eintr, EINTR_NEVER);
    settings_switch_off(&settings, "SCOPE");
    cr_expect_eq(settings.scope, SCOPE_KEEP);
    settings_switch_off(&settings, "LOOKUP");
    cr_expect_eq(settings.lookup, LOOKUP_OFF);
    settings_switch_off(&settings, "CALLS");
    cr_expect_eq(settings.calls, 0);
}

Test(settings, unknown_names)
{
    struct settings settings = defaults;
    cr_expect_not_null(settings_parse(&settings, "NONSENSE", "x"));
    cr_expect_not_null(settings_switch_off(&settings, "NONSENSE"));
}
