/* What check found, for a person. */
#include "check.h"
#include "reception.h"
#include "text.h"
#include "trace/calls.h"
#include "trace/names.h"

#include <limits.h>
#include <string.h>

#define NAMES_SHOWN 4 /* of the objects that import a call; the others are counted */

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
    text_name(text->output, name, text_length(name));
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
    add_verdict(text, false, text->check->running != NULL ? " is not traced" : " cannot be traced");
    add(text, ": ");
    if (inspection->resolution.scripts > 0 && inspection->verdict != INSPECT_CLEARED)
        add_name(text, inspection->resolution.path);
    else
        add(text, "it");
    add(text, " ");
    /* It may name a loader or a path. */
    output_room(text->output, 4 * sizeof inspection->reason);
    text_name(text->output, inspection->reason, strlen(inspection->reason));
    output_reserve(text->output);
}

static void add_consent(const struct text *text)
{
    const struct check *check = text->check;
    const struct library *by;
    char seen[RECEPTION_LIST_MAX], others[RECEPTION_LIST_MAX];
    enum reception reception = reception_judge(&check->libraries, check->handled, &by);
    add_verdict(text, true, reception == RECEPTION_BLIND ? " can be traced, with --calls all" : " can be traced");
    if (reception == RECEPTION_NONE)
        add(text, "; nothing in it imports a receive");
    if (reception != RECEPTION_BLIND && reception != RECEPTION_MIXED)
        return;
    uint32_t calls = reception_of(&check->libraries, by);
    reception_list(calls & ~check->handled, " and ", others);
    reception_list(calls & check->handled, " and ", seen);
    add(text, reception == RECEPTION_BLIND ? ": " : "; --calls all may show more: ");
    add_name(text, library_name(by));
    output_print(text->output, " imports %s%s%s%s", seen, seen[0] != '\0' ? ", and also " : "", others,
                 seen[0] != '\0' ? "" : ", and no call handled by default");
}

static enum reception judge(const struct text *text, const struct library **by)
{
    return reception_judge(&text->check->libraries, text->check->handled, by);
}

/* A process that has the library. */
static void add_presence(const struct text *text)
{
    const struct check_trace *trace = &text->check->trace;
    const struct library *by;
    char list[RECEPTION_LIST_MAX];
    bool blind = judge(text, &by) == RECEPTION_BLIND;
    add_verdict(text, trace->there && trace->tracing && !blind,
                trace->there ? " is traced" : " has the library, and no trace");
    if (!trace->there)
        add(text, ": it was started without RECVSHIM_TRACE, or could not open it");
    else if (!trace->tracing)
        add(text, ", and recording is switched off: recvshim control --tracing on");
    if (!blind)
        return;
    reception_list(reception_of(&text->check->libraries, by), " and ", list);
    add(text, "; but ");
    add_name(text, library_name(by));
    output_print(text->output, " imports %s, and no call that is handled: start it anew with --calls all", list);
}

static void print_headline(const struct text *text)
{
    const struct inspection *inspection = &text->check->inspection;
    const struct library *by;
    add_name(text, text->check->name);
    if (inspection->verdict == INSPECT_LIBRARY)
        add(text, " is a shared library, and traced in the programs that load it");
    else if (inspection->verdict != INSPECT_TRACEABLE)
        add_refusal(text);
    else if (text->check->running != NULL)
        add_presence(text);
    else
        add_consent(text);
    add(text, "\n");
    if (inspection->verdict == INSPECT_UNLOADED)
        output_print(text->output,
                     "  start it anew with recvshim run%s, or with the library in LD_PRELOAD; it cannot be "
                     "loaded into one that runs\n",
                     judge(text, &by) == RECEPTION_BLIND ? " --calls all" : "");
}

/* ---- the file ---- */

static void print_scripts(const struct text *text)
{
    const struct resolution *resolution = &text->check->inspection.resolution;
    for (unsigned int i = 0; i < resolution->scripts; i++) {
        add_row(text, 2, "script");
        add_name(text, resolution->script[i]);
        add(text, i == 0 ? "; what it starts is another program, to be checked by itself\n" : "\n");
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
    size_t libraries = count_libraries(&text->check->libraries);
    char room[64];
    add_row(text, 2, "program");
    add_name(text, inspection->resolution.path);
    if (object->kind.class != 0) {
        output_print(text->output, ": %s, %s", kind_words(object->kind, room), linking(object));
        if (libraries > 0)
            output_print(text->output, " to %zu librar%s", libraries, libraries == 1 ? "y" : "ies");
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
    add(text, privileges->gained ? "\n" : ", of which you gain nothing; who does cannot trace it\n");
}

static void print_process(const struct text *text)
{
    const struct running *running = text->check->running;
    const struct check_trace *trace = &text->check->trace;
    if (running->library[0] != '\0') {
        add_row(text, 2, running->mapped ? "library" : "LD_PRELOAD");
        add_name(text, running->library);
        add(text, "\n");
    }
    if (trace->there) {
        add_row(text, 2, "trace");
        if (strncmp(trace->name, "/memfd:", 7) == 0)
            add(text, "in the memory of recvshim run");
        else
            add_name(text, trace->name);
        add(text, trace->tracing ? "\n" : ": recording is switched off\n");
    } else if (running->mapped && trace->problem != NULL) {
        add_row(text, 2, "trace");
        output_print(text->output, "none: it %s\n", trace->problem);
    }
    if (running->filtered) {
        add_row(text, 2, "seccomp");
        add(text, "under a filter: addresses and TCP's state are not looked up, unless by --lookup on\n");
    }
    if (running->no_new_privileges) {
        add_row(text, 2, "privileges");
        add(text, "it and its children can gain none (NoNewPrivs): what is setuid is traced, too\n");
    }
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
    return (reception_of(&text->check->libraries, item) >> call & 1) != 0;
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
        if (importers > count)
            output_print(text->output, "%s%zu that make%s no sockets", count > 0 ? "; and " : "", importers - count,
                         importers - count == 1 ? "s" : "");
        add(text, "\n");
    }
}

static const struct unseen {
    enum trait trait;
    bool anywhere; /* or worth a word only where the program's own receives are */
    const char *head, *words;
} unseen[] = {
    {TRAIT_RESOLVER, true, "resolver", "name resolution, inside libc"},
    {TRAIT_STDIO, false, "stdio", "a socket read as a FILE (fdopen), inside libc"},
    {TRAIT_IO_URING, true, "io_uring", "what it receives"},
    {TRAIT_ASYNCHRONOUS, false, "aio", "asynchronous reads"},
    {TRAIT_SPLICE, false, "splice", "what goes from a socket into a pipe"},
    {TRAIT_PREADV2, false, "preadv2", "reads of a socket by it"},
    {TRAIT_SYSCALL, false, "syscall", "receives by raw system calls, should there be any"},
};

static bool has_trait(const struct text *text, const struct library *item, uint32_t row)
{
    return library_has(item, unseen[row].trait) &&
           (unseen[row].anywhere || reception_is_central(&text->check->libraries, item));
}

static bool loads(const struct text *text, const struct library *item, uint32_t row)
{
    (void)text, (void)row;
    return library_has(item, TRAIT_PLUGINS);
}

static bool any(const struct text *text, choice *chosen, uint32_t row)
{
    for (size_t i = 0; i < text->check->libraries.count; i++)
        if (chosen(text, &text->check->libraries.items[i], row))
            return true;
    return false;
}

static void print_unseen(const struct text *text)
{
    bool titled = false;
    for (uint32_t row = 0; row < sizeof unseen / sizeof unseen[0]; row++) {
        if (!any(text, has_trait, row))
            continue;
        add(text, titled ? "" : "  never seen\n");
        titled = true;
        add_row(text, 4, unseen[row].head);
        add(text, unseen[row].words);
        add(text, ": ");
        add_objects(text, has_trait, row);
        add(text, "\n");
    }
    if (text->check->running != NULL && text->check->running->rings > 0) {
        add(text, titled ? "" : "  never seen\n");
        add_row(text, 4, "io_uring");
        output_print(text->output, "what it receives: the process has %u open\n", text->check->running->rings);
    }
}

static void print_plugins(const struct text *text)
{
    if (!any(text, loads, 0))
        return;
    add_row(text, 2, "plugins");
    add(text, "may be loaded later (dlopen), and are not in this list: ");
    add_objects(text, loads, 0);
    add(text, text->check->running != NULL ? "\n" : "; recvshim check -p PID has them\n");
}

void check_text(const struct check *check, struct output *output, bool colour)
{
    const struct text text = {check, output, colour};
    print_headline(&text);
    print_scripts(&text);
    print_program(&text);
    print_privileges(&text);
    if (check->running != NULL)
        print_process(&text);
    print_missing(&text);
    print_calls(&text,
                check->running != NULL && check->running->chosen == ANSWER_YES ? "handled" : "handled by default",
                check->handled);
    print_calls(&text, "handled with --calls all", CALLS_ALL & ~check->handled);
    print_unseen(&text);
    print_plugins(&text);
}
