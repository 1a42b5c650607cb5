/* The state of a trace's control page, and of those for whom it holds: what `recvshim control` shows. */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include "output.h"
#include "trace/control_page.h"
#include "trace/lookup.h"

struct control_state {
    const struct trace *trace;
    struct control_page page;
    bool damaged;                /* some of the page's rules make no sense */
    bool written;                /* somebody has the trace mapped */
    bool known;                  /* who that is: process ids mean here what they mean in the trace */
    struct process_list running; /* those of the trace's processes that have it mapped now, one entry each */
};

/* Look at all of it. Returns false where memory ran out, or the trace was cut short, which *cut_short tells. */
bool control_state_look(struct control_state *state, const struct trace *trace, bool *cut_short);
void control_state_free(struct control_state *state);

/* For a person, and as one JSON object on a line. */
void control_state_text(const struct control_state *state, struct output *output, bool colour);
void control_state_json(const struct control_state *state, struct output *output);

#endif
