#include "control_state.h"

#include "guard.h"
#include "json.h"
#include "text.h"
#include "trace/locate.h"
#include "trace/names.h"
#include "trace/read.h"
#include "trace/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>

/* ---- looking ---- */

struct look {
    struct control_state *state;
    bool out_of_memory;
};

static void do_look(void *context)
{
    struct look *look = context;
    struct control_state *state = look->state;
    control_page_read(state->trace, &state->page);
    state->known = repair_possible(state->trace);
    look->out_of_memory = !process_list_update(&state->running, state->trace);
}

/* Its number may have become another process's since, which has the trace mapped or not. */
static bool is_running(const struct process *process, const struct trace *trace)
{
    pid_t pid = (pid_t)process->pid;
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) && locate_has(pid, trace) != LOCATE_NO;
}

/* Of the processes in the table keep those that run: of one number the last, as it is after its last exec. */
static void keep_running(struct process_list *list, const struct trace *trace)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool last = i + 1 == list->count || list->items[i + 1].pid != list->items[i].pid;
        if (last && is_running(&list->items[i], trace))
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static bool is_damaged(const struct control_page *page)
{
    if ((page->generation & 1) != 0)
        return false; /* nobody follows them */
    for (uint32_t i = 0; i < page->rules.count; i++)
        if (!control_page_is_rule(page, i))
            return true;
    return page->claimed > RECVSHIM_MAX_RULES;
}

bool control_state_look(struct control_state *state, const struct trace *trace, bool *cut_short)
{
    struct look look = {.state = state};
    memset(state, 0, sizeof *state);
    state->trace = trace;
    *cut_short = !guard_run(trace, do_look, &look);
    if (*cut_short || look.out_of_memory)
        return false;
    state->damaged = is_damaged(&state->page);
    state->written = trace_is_written(trace);
    if (state->written && state->known)
        keep_running(&state->running, trace);
    else
        state->running.count = 0;
    return true;
}

void control_state_free(struct control_state *state)
{
    process_list_free(&state->running);
}

/* ---- for a person ---- */

struct text {
    struct output *output;
    bool colour;
};

/* What is not as it ought to be, or not as it usually is. */
static void add_warning(const struct text *text, const char *words)
{
    output_print(text->output, "%s%s%s", text->colour ? "\033[33m" : "", words, text->colour ? "\033[0m" : "");
}

static void print_event(void *context, const char *name)
{
    output_print(context, " %s", name);
}

/* Call `each` with the name of every event in the set; what is none known here comes last, as "unknown". */
static void events_for_each(uint32_t events, void (*each)(void *context, const char *name), void *context)
{
    for (uint32_t i = 0; i < RECVSHIM_EVENTS; i++)
        if ((events >> i & 1) != 0)
            each(context, event_names[i]);
    if ((events & ~RECVSHIM_EVENTS_ALL) != 0)
        each(context, "unknown");
}

static void print_events(const struct text *text, uint32_t events)
{
    output_print(text->output, "events    ");
    if (events == RECVSHIM_EVENTS_ALL)
        output_print(text->output, " all");
    else if (events == RECVSHIM_EVENTS_DEFAULT)
        output_print(text->output, " all but would-block");
    else if (events == 0)
        add_warning(text, " none");
    else
        events_for_each(events, print_event, text->output);
    output_print(text->output, "\n");
}

static void print_whose_rules(const struct text *text, const struct control_page *page)
{
    uint32_t count = page->rules.count;
    output_print(text->output, "faults     ");
    if ((page->generation & 1) != 0) {
        add_warning(text, "none: the rules are being changed, or recvshim control was killed while it did that; set "
                          "them again");
    } else if (page->claimed > RECVSHIM_MAX_RULES) {
        add_warning(text, "damaged");
        output_print(text->output, ": there are never %" PRIu32 " rules; set them again", page->claimed);
    } else if (page->generation == 0) {
        output_print(text->output, "each process has the rules that it was started with; ");
        if (count == 0)
            output_print(text->output, "whoever made the trace had none");
        else
            output_print(text->output, "whoever made the trace had %" PRIu32 ":", count);
    } else if (count == 0) {
        output_print(text->output, "none in any process, by recvshim control (generation %" PRIu32 ")",
                     page->generation);
    } else {
        output_print(text->output,
                     "%" PRIu32 " rule%s in every process, by recvshim control (generation %" PRIu32 "):", count,
                     count == 1 ? "" : "s", page->generation);
    }
    output_print(text->output, "\n");
}

static void print_rules(const struct text *text, const struct control_page *page)
{
    if ((page->generation & 1) != 0 || page->rules.count == 0)
        return;
    output_print(text->output, "           RULE  INJECTED\n");
    for (uint32_t i = 0; i < page->rules.count; i++) {
        char words[FAULT_RULE_TEXT_MAX];
        output_print(text->output, "           %4" PRIu32 "%10" PRIu64 "  ", i + 1, page->injected[i]);
        if (control_page_is_rule(page, i)) {
            fault_rule_text(&page->rules.rules[i], words);
            output_print(text->output, "%s", words);
        } else {
            add_warning(text, "damaged, and followed by nobody; set the rules again");
        }
        output_print(text->output, "\n");
    }
}

static void print_running(const struct text *text, const struct control_state *state)
{
    struct output *output = text->output;
    output_print(output, "mapped by  ");
    if (!state->written) {
        output_print(output, "nobody\n");
        return;
    }
    if (!state->known || state->running.count == 0) {
        output_print(output, "somebody, %s\n",
                     state->known ? "who is not in its table of processes"
                                  : "who cannot be told from here: process ids in it are another namespace's");
        return;
    }
    output_print(output, "%zu process%s:\n", state->running.count, state->running.count == 1 ? "" : "es");
    for (size_t i = 0; i < state->running.count; i++) {
        const struct process *process = &state->running.items[i];
        output_print(output, "        %7" PRIu32 "  ", process->pid);
        text_name(output, process->comm, strlen(process->comm));
        output_print(output, "\n");
    }
}

void control_state_text(const struct control_state *state, struct output *output, bool colour)
{
    const struct text text = {output, colour};
    const struct control_page *page = &state->page;
    output_print(output, "tracing    ");
    if (page->tracing)
        output_print(output, "on");
    else
        add_warning(&text, "off");
    output_print(output, "\n");
    print_events(&text, page->events);
    output_print(output, "seed       %" PRIu64 "\n", state->trace->header.seed);
    print_whose_rules(&text, page);
    print_rules(&text, page);
    print_running(&text, state);
}

/* ---- for a program ---- */

static void add_rules(struct output *output, const struct control_page *page)
{
    for (uint32_t i = 0; i < page->rules.count; i++) {
        char words[FAULT_RULE_TEXT_MAX];
        bool good = control_page_is_rule(page, i);
        if (good)
            fault_rule_text(&page->rules.rules[i], words);
        output_reserve(output);
        if (i > 0)
            output_byte(output, ',');
        LITERAL(output, "{\"rule\":");
        output_unsigned(output, i + 1);
        LITERAL(output, ",\"text\":");
        json_name(output, good ? words : NULL); /* nothing in it needs escaping */
        LITERAL(output, ",\"injected\":");
        output_unsigned(output, page->injected[i]);
        output_byte(output, '}');
    }
}

static void add_running(struct output *output, const struct control_state *state)
{
    if (!state->known) {
        LITERAL(output, "null");
        return;
    }
    output_byte(output, '[');
    for (size_t i = 0; i < state->running.count; i++) {
        const struct process *process = &state->running.items[i];
        output_reserve(output);
        if (i > 0)
            output_byte(output, ',');
        LITERAL(output, "{\"pid\":");
        output_unsigned(output, process->pid);
        LITERAL(output, ",\"comm\":");
        json_string(output, process->comm, strlen(process->comm));
        output_byte(output, '}');
    }
    output_byte(output, ']');
}

void control_state_json(const struct control_state *state, struct output *output)
{
    const struct control_page *page = &state->page;
    bool changing = (page->generation & 1) != 0;
    output_reserve(output);
    LITERAL(output, "{\"tracing\":");
    json_truth(output, page->tracing);
    LITERAL(output, ",\"events\":[");
    events_for_each(page->events, json_item, output);
    /* A string: it may need all of 64 bits, and is given back as it is. */
    LITERAL(output, "],\"seed\":\"");
    output_unsigned(output, state->trace->header.seed);
    LITERAL(output, "\",\"generation\":");
    output_unsigned(output, page->generation);
    LITERAL(output, ",\"rules_by\":");
    json_name(output, changing ? NULL : page->generation == 0 ? "process" : "control");
    LITERAL(output, ",\"rules\":[");
    if (!changing)
        add_rules(output, page);
    LITERAL(output, "],\"damaged\":");
    json_truth(output, state->damaged);
    LITERAL(output, ",\"written\":");
    json_truth(output, state->written);
    LITERAL(output, ",\"processes\":");
    add_running(output, state);
    output_reserve(output);
    LITERAL(output, "}\n");
}
