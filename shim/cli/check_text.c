/* What check found, for a person. */
#include "check.h"
#include "reception.h"
#include "recvshim/trace.h"
#include "text.h"
#include "trace/names.h"

#include <limits.h>
#include <string.h>

#define NAMES_SHOWN 6 /* of the objects that import a call; the others are counted */

struct text {
    const struct check *check;
    struct output *output;
    bool colour;
};

static void add(const struct text *text, const char *words)
{
    output_long(text->output, words, strlen(words));
}

/* What comes from outside. It may be long. */
static void add_name(const struct text *text, const char *name)
{
    output_room(text->output, 4 * (size_t)PATH_MAX);
    text_name(text->output, name, strnlen(name, PATH_MAX));
    output_reserve(text->output);
}

static void add_row(const struct text *text, unsigned int indentation, const char *head)
{
    output_print(text->output, "%*s%-*s  ", (int)indentation, "", 12 - (int)indentation, head);
}

/* ---- the first line ---- */

static void add_verdict(const struct text *text, bool good, const char *words)
{
    const char *colour = good ? "\033[32m" : "\033[33m";
    add(text, text->colour ? colour : "");
    add(text, words);
    add(text, text->colour ? "\033[0m" : "");
}

static void add_refusal(const struct text *text)
{
    const struct inspection *inspection = &text->check->inspection;
    add_verdict(text, false, " cannot be traced");
    add(text, ": ");
    if (inspection->resolution.scripts > 0 && inspection->verdict != INSPECT_CLEARED)
        add_name(text, inspection->resolution.path);
    else
        add(text, "it");
    add(text, " ");
    add(text, inspection->reason);
}

static void add_consent(const struct text *text)
{
    const struct check *check = text->check;
    const struct library *blind = reception_blind(&check->libraries, check->handled);
    char list[256], handled[256];
    if (blind == NULL) {
        add_verdict(text, true, " can be traced");
        return;
    }
    reception_list(blind->object.imports.calls, " and ", list);
    reception_list(check->handled, " nor ", handled);
    add_verdict(text, true, " can be traced with --calls all");
    add(text, ": ");
    add_name(text, library_name(blind));
    output_print(text->output, " imports %s, and neither %s", list, handled);
}

static void print_headline(const struct text *text)
{
    const struct inspection *inspection = &text->check->inspection;
    add_name(text, text->check->name);
    if (inspection->verdict == INSPECT_LIBRARY)
        add(text, " is a shared library, and traced in the programs that load it");
    else if (inspection->verdict == INSPECT_TRACEABLE)
        add_consent(text);
    else
        add_refusal(text);
    add(text, "\n");
}

/* ---- the file ---- */

static void print_scripts(const struct text *text)
{
    const struct resolution *resolution = &text->check->inspection.resolution;
    for (unsigned int i = 0; i < resolution->scripts; i++) {
        add_row(text, 2, "script");
        add_name(text, resolution->script[i]);
        add(text, "\n");
    }
}

static size_t count_libraries(const struct libraries *libraries)
{
    return libraries->count > 0 ? libraries->count - 1 : 0;
}

static const char *linking(const struct object *object)
{
    static const char *const words[] = {
        [OBJECT_PROGRAM] = "dynamically linked", [OBJECT_STATIC] = "statically linked",
        [OBJECT_STATIC_PIE] = "static-pie",      [OBJECT_LIBRARY] = "shared library",
        [OBJECT_LOADER] = "the loader itself",   [OBJECT_OTHER] = "not executable",
    };
    return words[object->type];
}

static void print_program(const struct text *text)
{
    const struct inspection *inspection = &text->check->inspection;
    const struct object *object = &inspection->object;
    char room[64];
    add_row(text, 2, "program");
    add_name(text, inspection->resolution.path);
    if (object->kind.class != 0) {
        output_print(text->output, ": %s, %s", kind_words(object->kind, room), linking(object));
        if (text->check->libraries.count > 1)
            output_print(text->output, " to %zu libraries", count_libraries(&text->check->libraries));
        if (object->go)
            add(text, ", Go");
    }
    add(text, "\n");
    if (object->loader == NULL)
        return;
    add_row(text, 2, "loader");
    add_name(text, object->loader);
    add(text, object_is_glibc_loader(object->loader) ? " (glibc)\n" : "\n");
}

static void print_privileges(const struct text *text)
{
    const struct privileges *privileges = &text->check->inspection.privileges;
    char words[128];
    privileges_words(privileges, words);
    if (words[0] == '\0')
        return;
    add_row(text, 2, "privileges");
    add(text, words);
    add(text, privileges->gained
                  ? "\n"
                  : ": nothing is gained by you, here and now; where it is, the loader ignores the library\n");
}

static void print_missing(const struct text *text)
{
    const struct libraries *libraries = &text->check->libraries;
    for (size_t i = 1; i < libraries->count; i++) {
        const struct library *item = &libraries->items[i];
        if (item->path != NULL && item->problem == NULL)
            continue;
        add_row(text, 2, "missing");
        add_name(text, item->name);
        add(text, ", for ");
        add_name(text, library_name(&libraries->items[item->wanted_by]));
        if (item->problem != NULL) {
            add(text, ": ");
            add_name(text, item->path);
            add(text, " ");
            add(text, item->problem);
        }
        add(text, "\n");
    }
}

/* ---- what is seen, and what is not ---- */

typedef bool choice(const struct text *text, const struct library *item, uint32_t which);

/* The names of those chosen, the others counted. Returns how many there are. */
static size_t add_objects(const struct text *text, choice *chosen, uint32_t which)
{
    const struct libraries *libraries = &text->check->libraries;
    size_t count = 0;
    for (size_t i = 0; i < libraries->count; i++) {
        if (!chosen(text, &libraries->items[i], which))
            continue;
        if (count++ >= NAMES_SHOWN)
            continue;
        add(text, count > 1 ? ", " : "");
        add_name(text, library_name(&libraries->items[i]));
    }
    if (count > NAMES_SHOWN)
        output_print(text->output, " and %zu more", count - NAMES_SHOWN);
    return count;
}

static bool imports_it(const struct library *item, uint32_t call)
{
    return (item->object.imports.calls >> call & 1) != 0;
}

static bool receives_by(const struct text *text, const struct library *item, uint32_t call)
{
    return imports_it(item, call) && reception_counts(&text->check->libraries, item);
}

static size_t count_importers(const struct libraries *libraries, uint32_t call)
{
    size_t count = 0;
    for (size_t i = 0; i < libraries->count; i++)
        count += imports_it(&libraries->items[i], call);
    return count;
}

static void print_calls(const struct text *text, const char *title, uint32_t calls)
{
    const struct libraries *libraries = &text->check->libraries;
    bool titled = false;
    for (uint32_t call = 0; call < RECVSHIM_CALLS; call++) {
        size_t importers = (calls >> call & 1) != 0 ? count_importers(libraries, call) : 0;
        if (importers == 0)
            continue;
        if (!titled)
            output_print(text->output, "  %s\n", title);
        titled = true;
        add_row(text, 4, call_names[call]);
        size_t count = add_objects(text, receives_by, call);
        if (count == 0)
            output_print(text->output, "%zu that make%s no sockets", importers, importers == 1 ? "s" : "");
        else if (importers > count)
            output_print(text->output, " (and %zu that make%s no sockets)", importers - count,
                         importers - count == 1 ? "s" : "");
        add(text, "\n");
    }
}

static const struct unseen {
    enum trait trait;
    bool anywhere; /* or of interest only where sockets are made */
    const char *head, *words;
} unseen[] = {
    {TRAIT_RESOLVER, true, "resolver", "libc's own receives of name resolution"},
    {TRAIT_STDIO, false, "stdio", "libc's own reads of a socket made a FILE (fdopen)"},
    {TRAIT_IO_URING, true, "io_uring", "whatever is received by it"},
    {TRAIT_ASYNCHRONOUS, false, "aio", "asynchronous reads"},
    {TRAIT_SPLICE, false, "splice", "what is spliced from a socket"},
    {TRAIT_OTHER_NAME, false, "other names", "__read and preadv2"},
    {TRAIT_SYSCALL, false, "syscall", "raw system calls, if it receives by them"},
    {TRAIT_PLUGINS, true, "plugins",
     "libraries loaded later (dlopen) are not in this list; -p PID shows those of a process"},
};

static bool has_trait(const struct text *text, const struct library *item, uint32_t row)
{
    return (item->object.imports.traits >> unseen[row].trait & 1) != 0 &&
           (unseen[row].anywhere || reception_counts(&text->check->libraries, item));
}

static bool is_there(const struct text *text, uint32_t row)
{
    for (size_t i = 0; i < text->check->libraries.count; i++)
        if (has_trait(text, &text->check->libraries.items[i], row))
            return true;
    return false;
}

static void print_unseen(const struct text *text)
{
    bool titled = false;
    for (uint32_t row = 0; row < sizeof unseen / sizeof unseen[0]; row++) {
        if (!is_there(text, row))
            continue;
        add(text, titled ? "" : "  never seen\n");
        titled = true;
        add_row(text, 4, unseen[row].head);
        add(text, unseen[row].words);
        add(text, ": ");
        add_objects(text, has_trait, row);
        add(text, "\n");
    }
}

void check_text(const struct check *check, struct output *output, bool colour)
{
    const struct text text = {check, output, colour};
    print_headline(&text);
    print_scripts(&text);
    print_program(&text);
    print_privileges(&text);
    print_missing(&text);
    print_calls(&text, "handled by default", check->handled);
    print_calls(&text, "handled with --calls all", ~check->handled);
    print_unseen(&text);
}
