/* libFuzzer: the settings of the library, as its constructor reads them from the environment: lines of NAME=VALUE,
 * taken one after the other into the same settings.
 *
 * Whatever is refused says on one line what is accepted, changes nothing, and can be switched off, with a phrase that
 * says what then is off. Whatever is accepted is within its bounds, and is accepted again with the same result. */
#include "preload/settings.h"
#include "trace/signal_names.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_phrase(const char *phrase)
{
    check(phrase != NULL && phrase[0] != '\0');
    for (; *phrase != '\0'; phrase++)
        check(*phrase >= ' ' && *phrase <= '~');
}

static void check_bounds(const struct settings *settings)
{
    const struct trace_options *trace = &settings->trace;
    check(settings->eintr <= EINTR_NEVER && settings->scope <= SCOPE_KEEP && settings->lookup <= LOOKUP_OFF);
    check((settings->calls & ~CALLS_ALL) == 0 && (trace->events & ~RECVSHIM_EVENTS_ALL) == 0);
    check(trace->size >= TRACE_SIZE_MIN && trace->size <= TRACE_SIZE_MAX && trace->mode <= RECVSHIM_MODE_STOP);
    check((settings->eintr_pass & (signal_bit(SIGKILL) | signal_bit(SIGSTOP))) == 0);
}

/* A pattern that was accepted has room in a path, even for the longest pid; in less room it is refused, or fits. */
static void check_path(const char *pattern)
{
    char path[PATH_MAX];
    check(settings_expand_path(pattern, UINT32_MAX, path, sizeof path));
    size_t length = strlen(path);
    check(length > 0 && length + 1 < sizeof path);
    size_t room = length / 2 + 1;
    char *less = malloc(room); /* of its own, so that a byte too far is seen */
    check(less != NULL && !settings_expand_path(pattern, UINT32_MAX, less, room));
    free(less);
}

static void try_setting(struct settings *settings, const char *name, const char *value)
{
    const struct settings before = *settings;
    const char *accepted = settings_parse(settings, name, value);
    if (accepted != NULL) {
        check_phrase(accepted);
        check(memcmp(settings, &before, sizeof before) == 0);
        check_phrase(settings_switch_off(settings, name));
    } else {
        struct settings again = *settings;
        check(settings_parse(&again, name, value) == NULL && memcmp(&again, settings, sizeof again) == 0);
        if (strcmp(name, "TRACE") == 0)
            check_path(value);
    }
    check_bounds(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct settings settings;
    memset(&settings, 0, sizeof settings); /* what is between the members is compared, too */
    const struct settings defaults = SETTINGS_DEFAULT;
    memcpy(&settings, &defaults, sizeof settings);
    char *text = malloc(size + 1), *rest = text;
    check(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, '=');
        if (value != NULL)
            *value++ = '\0';
        try_setting(&settings, line, value != NULL ? value : "");
    }
    free(text);
    return 0;
}
