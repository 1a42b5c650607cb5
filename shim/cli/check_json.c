/* What check found, for a program: one object. */
#include "check.h"
#include "json.h"
#include "reception.h"
#include "text.h"
#include "trace/calls.h"
#include "trace/names.h"

#include <limits.h>
#include <string.h>

static void add_string(struct output *output, const char *text)
{
    output_room(output, 7 * (size_t)PATH_MAX);
    if (text != NULL)
        json_string(output, text, text_length(text));
    else
        json_name(output, NULL);
    output_reserve(output);
}

static void add_comma(struct output *output)
{
    if (output->at[-1] != '[' && output->at[-1] != '{')
        output_byte(output, ',');
}

static void add_key(struct output *output, const char *key)
{
    output_reserve(output);
    add_comma(output);
    output_print(output, "\"%s\":", key);
}

static void add_set(struct output *output, uint32_t set, uint32_t count, const char *(*name)(uint32_t index))
{
    output_byte(output, '[');
    for (uint32_t i = 0; i < count; i++) {
        if ((set >> i & 1) == 0)
            continue;
        add_comma(output);
        json_name(output, name(i));
    }
    output_byte(output, ']');
}

static const char *name_call(uint32_t call)
{
    return call_names[call];
}

static const char *name_trait(uint32_t trait)
{
    return trait_name((enum trait)trait);
}

static void add_file(struct output *output, const struct inspection *inspection)
{
    static const char *const linking[] = {
        [OBJECT_PROGRAM] = "dynamic", [OBJECT_STATIC] = "static", [OBJECT_STATIC_PIE] = "static-pie",
        [OBJECT_LIBRARY] = "library", [OBJECT_LOADER] = "loader", [OBJECT_OTHER] = NULL,
    };
    const struct object *object = &inspection->object;
    const struct privileges *privileges = &inspection->privileges;
    bool read = object->kind.class != 0;
    char words[128], room[64];
    privileges_words(privileges, words);
    add_key(output, "path");
    add_string(output, inspection->resolution.path);
    add_key(output, "machine");
    add_string(output, read ? kind_words(object->kind, room) : NULL);
    add_key(output, "linking");
    json_name(output, read ? linking[object->type] : NULL);
    add_key(output, "loader");
    add_string(output, object->loader);
    add_key(output, "go");
    json_truth(output, object->go);
    add_key(output, "privileges");
    add_string(output, words[0] != '\0' ? words : NULL);
    add_key(output, "privileges_gained");
    json_truth(output, privileges->gained);
}

static void add_scripts(struct output *output, const struct resolution *resolution)
{
    add_key(output, "scripts");
    output_byte(output, '[');
    for (unsigned int i = 0; i < resolution->scripts; i++) {
        add_comma(output);
        add_string(output, resolution->script[i]);
    }
    output_byte(output, ']');
}

static void add_object(struct output *output, const struct check *check, const struct library *item)
{
    const struct imports *imports = &item->object.imports;
    output_reserve(output);
    add_comma(output);
    output_byte(output, '{');
    add_key(output, "name");
    add_string(output, item->name);
    add_key(output, "path");
    add_string(output, item->path);
    add_key(output, "problem");
    add_string(output, item->path == NULL ? "is not there" : item->problem);
    add_key(output, "imports");
    add_set(output, imports->calls, RECVSHIM_CALLS, name_call);
    add_key(output, "receives_by");
    add_set(output, reception_of(&check->libraries, item), RECVSHIM_CALLS, name_call);
    add_key(output, "traits");
    add_set(output, imports->traits, TRAITS, name_trait);
    output_byte(output, '}');
}

static void add_objects(struct output *output, const struct check *check)
{
    add_key(output, "objects");
    output_byte(output, '[');
    for (size_t i = 0; i < check->libraries.count; i++)
        add_object(output, check, &check->libraries.items[i]);
    output_byte(output, ']');
}

static void add_answer(struct output *output, const char *key, enum answer answer)
{
    add_key(output, key);
    if (answer == ANSWER_UNKNOWN)
        json_name(output, NULL);
    else
        json_truth(output, answer == ANSWER_YES);
}

static void add_process(struct output *output, const struct check *check)
{
    const struct running *running = check->running;
    const struct check_trace *trace = &check->trace;
    add_key(output, "process");
    if (running == NULL) {
        json_name(output, NULL);
        return;
    }
    output_byte(output, '{');
    add_key(output, "pid");
    output_unsigned(output, (uint64_t)running->pid);
    add_key(output, "comm");
    add_string(output, running->comm);
    add_key(output, "library");
    add_string(output, running->mapped ? running->library : NULL);
    add_answer(output, "preloaded", running->preloaded);
    add_answer(output, "secure", running->secure);
    add_key(output, "trace");
    add_string(output, trace->there ? trace->name : NULL);
    add_key(output, "tracing");
    json_truth(output, trace->there && trace->tracing);
    add_key(output, "seccomp");
    json_truth(output, running->filtered);
    add_key(output, "no_new_privileges");
    json_truth(output, running->no_new_privileges);
    add_key(output, "io_uring");
    output_unsigned(output, running->rings);
    output_byte(output, '}');
}

void check_json(const struct check *check, struct output *output)
{
    const struct inspection *inspection = &check->inspection;
    uint32_t calls = reception_of_all(&check->libraries);
    output_reserve(output);
    output_byte(output, '{');
    add_key(output, "program");
    add_string(output, check->name);
    add_key(output, "traceable");
    json_truth(output, check_is_good(check));
    add_key(output, "verdict");
    json_name(output, inspect_verdict_name(inspection->verdict));
    add_key(output, "reason");
    add_string(output, inspect_reason(inspection));
    add_scripts(output, &inspection->resolution);
    add_file(output, inspection);
    add_key(output, "handled");
    add_set(output, calls & check->handled, RECVSHIM_CALLS, name_call);
    add_key(output, "needs_calls_all");
    add_set(output, calls & ~check->handled, RECVSHIM_CALLS, name_call);
    add_objects(output, check);
    add_process(output, check);
    output_bytes(output, "}\n", 2);
    output_flush(output);
}
