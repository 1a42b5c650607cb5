#include "overruled.h"

#include "guard.h"
#include "interruption.h"

#include <stdio.h>

struct look {
    const struct recvshim_counters *counters;
    uint64_t begun, waiting, signals;
};

static void do_look(void *context)
{
    struct look *look = context;
    /* The ended first: one that ends in between is then seen waiting, not the other way round. Acquire: the signals
     * were noted before the receive was counted. */
    uint64_t ended = atomic_load_explicit(&look->counters->overruled_ended, memory_order_acquire);
    look->begun = atomic_load_explicit(&look->counters->overruled, memory_order_acquire);
    look->waiting = look->begun - ended;
    look->signals = atomic_load_explicit(&look->counters->overruled_signals, memory_order_relaxed);
}

static bool look_at(const struct trace *trace, struct look *look)
{
    *look = (struct look){.counters = trace->counters};
    return guard_run(trace, do_look, look);
}

bool overruled_begin(struct overruled *overruled, const struct trace *trace)
{
    struct look look;
    bool whole = look_at(trace, &look);
    *overruled = (struct overruled){.begun = look.begun, .before = look.waiting};
    return whole;
}

bool overruled_look(struct overruled *overruled, const struct trace *trace, uint64_t now,
                    char words[OVERRULED_WORDS_MAX])
{
    struct look look;
    if (overruled->told || !look_at(trace, &look))
        return false;
    if (look.waiting < overruled->before)
        overruled->before = look.waiting;
    if (look.begun == overruled->begun || look.waiting == overruled->before) {
        overruled->since = 0;
        return false;
    }
    if (overruled->since == 0)
        overruled->since = now;
    if (now - overruled->since < OVERRULED_PATIENCE_NS)
        return false;
    overruled->told = true;
    char after[INTERRUPTION_WORDS_MAX];
    interruption_words(&(struct interruption){OUTCOME_RETRIED, CERTAINTY_CANDIDATES, look.signals}, "after", after);
    snprintf(words, OVERRULED_WORDS_MAX,
             "a receive was retried%s, and has not returned since: if the program should have stopped or timed out by "
             "now, it counts on EINTR; end it, and run it with --eintr intent",
             after);
    return true;
}

uint64_t overruled_count(const struct overruled *overruled, const struct trace *trace, uint64_t *signals)
{
    struct look look;
    if (!look_at(trace, &look))
        return 0;
    *signals = look.signals;
    return look.begun - overruled->begun;
}
