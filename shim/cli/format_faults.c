/* Rules of fault injection that repeat what was injected: the same into the same receives, and nothing else, whatever
 * the seed and the rules that it came from. Printed at the end, when all is known. */
#include "fault_list.h"
#include "format.h"
#include "text.h"

#include "trace/fault_rules.h"

#include <inttypes.h>

static void faults_event(struct printer *printer, const struct event *event)
{
    fault_list_add(printer->faults, event);
}

static void print_heading(const struct fault_list *list, struct output *output)
{
    if (list->injections == 0)
        output_print(output, "# No injected faults. Seed of the trace: %" PRIu64 "\n", list->seed);
    else
        output_print(output,
                     "# %zu injected fault%s as %zu rule%s. Seed of the trace: %" PRIu64 "\n"
                     "# Once more: recvshim run --fault \"$(cat FILE)\" -- COMMAND\n",
                     list->injections, list->injections == 1 ? "" : "s", list->rule_count,
                     list->rule_count == 1 ? "" : "s", list->seed);
    if (list->lost != 0)
        output_print(output, "# Incomplete: there may be faults among the lost events, %" PRIu64 " in number\n",
                     list->lost);
    if (list->unrecorded)
        output_print(output, "# Perhaps incomplete: tracing is off, or `fault' is none of the events recorded\n");
    if (list->repeated != 0)
        output_print(output, "# Counted once: %zu receive%s of another process or run, with the same faults as here\n",
                     list->repeated, list->repeated == 1 ? "" : "s");
    if (list->contrary != 0)
        output_print(output, "# Left out: %zu receive%s of another run, with other faults than here\n", list->contrary,
                     list->contrary == 1 ? "" : "s");
    if (list->set_anew)
        output_print(output, "# recvshim control has set rules: receives were counted from 1 again from then on\n");
}

static void faults_end(struct printer *printer)
{
    struct fault_list *list = printer->faults;
    fault_list_finish(list);
    if (list->out_of_memory)
        return;
    print_heading(list, printer->output);
    for (size_t i = 0; i < list->rule_count; i++) {
        char text[FAULT_RULE_TEXT_MAX];
        size_t length = fault_rule_text(&list->rules[i], text);
        output_reserve(printer->output);
        output_bytes(printer->output, text, length);
        output_byte(printer->output, '\n');
    }
}

const struct format format_faults = {.name = "faults", .event = faults_event, .end = faults_end};
