/* The control page of a trace: what reaches every process that has the trace mapped. Read by anybody, written by the
 * command alone; how the library reads it stands in shim/preload/fault.c. Every byte of it is taken as hostile. */
#ifndef CONTROL_PAGE_H
#define CONTROL_PAGE_H

#include "fault_rules.h"
#include "trace_file.h"

/* The page as it stood at one moment. */
struct control_page {
    bool tracing;
    uint32_t events;
    uint32_t generation; /* odd: its rules were being written whenever it was looked at, or by one that was killed */
    uint32_t claimed;    /* rules, as the page has it: more than RECVSHIM_MAX_RULES are damage */
    struct fault_rules rules; /* no more than there can be. Those that are not valid are damage, and never followed */
    /* How often the rule of each number was injected in this generation: of generation 0, by all processes that have
     * one of that number. */
    uint64_t injected[RECVSHIM_MAX_RULES];
};

/* Copy it. Waits a little for somebody who is just writing; then `generation` is odd. */
void control_page_read(const struct trace *trace, struct control_page *page);

/* Whether a rule of the page is one. */
bool control_page_is_rule(const struct control_page *page, uint32_t index);

/* Be the only one who changes the page, which must have been mapped by TRACE_CONTROL: until the trace is closed, or the
 * process ends. Without `wait`, error.error is EAGAIN where another one does. */
struct trace_error control_page_lock(const struct trace *trace, bool wait);

/* Change it, locked. New rules hold in every process at its next call, and what rules count begins anew. */
void control_page_set_tracing(const struct trace *trace, bool tracing);
void control_page_set_rules(const struct trace *trace, const struct fault_rules *rules);

#endif
