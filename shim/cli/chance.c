#include "chance.h"

#include "guard.h"

#include <string.h>

struct look {
    const struct trace *trace;
    struct control_page *page;
};

static void do_look(void *context)
{
    const struct look *look = context;
    control_page_read(look->trace, look->page);
}

static bool look_at(const struct trace *trace, struct control_page *page)
{
    struct look look = {trace, page};
    return guard_run(trace, do_look, &look);
}

bool chance_begin(struct chance *chance, const struct trace *trace)
{
    static struct control_page page; /* too large for a stack */
    memset(chance, 0, sizeof *chance);
    if (!look_at(trace, &page))
        return false;
    chance->generation = page.generation;
    memcpy(chance->before, page.injected, sizeof chance->before);
    return true;
}

static bool draws(const struct recvshim_rule *rule)
{
    return rule->chance < RECVSHIM_CHANCE_ALWAYS || rule->low != rule->high ||
           (rule->action == RECVSHIM_ACTION_CORRUPT && rule->draw == 0);
}

uint64_t chance_count(const struct chance *chance, const struct trace *trace, const struct fault_rules *own)
{
    static struct control_page page;
    if (!look_at(trace, &page))
        return 0;
    const struct fault_rules *rules = page.generation == 0 ? own : &page.rules;
    uint64_t count = 0;
    bool drawn = false;
    for (uint32_t i = 0; i < rules->count; i++) {
        uint64_t before = page.generation == chance->generation ? chance->before[i] : 0;
        if (page.injected[i] <= before)
            continue;
        count += page.injected[i] - before;
        drawn = drawn || draws(&rules->rules[i]);
    }
    return drawn ? count : 0;
}
