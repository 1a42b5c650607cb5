#include "remarks.h"

#include "guard.h"
#include "message.h"
#include "missing.h"
#include "reception.h"

#include <inttypes.h>
#include <stdlib.h>

void remarks_say_overridden(const struct recording *recorded, const struct settings *settings, const char *trace_name)
{
    if (!recorded->tracing && settings->trace.tracing)
        message("%s: tracing is off in it; recvshim control --tracing on switches it on", trace_name);
    if (recorded->controlled && settings->fault != NULL)
        message("%s: recvshim control has set the rules of it, and those of --fault are not followed; give them to "
                "recvshim control",
                trace_name);
}

/* ---- what is said in the end ---- */

/* Whether the process has loaded the library and found the trace: it then stands in the table. */
static bool has_registered(const struct remarks *remarks)
{
    const struct process_list *known = &remarks->feed->processes;
    if (known->claimed > remarks->feed->trace->header.processes)
        return true; /* for all that is known: some found the table full */
    for (size_t i = 0; i < known->count; i++)
        if (known->items[i].pid == (uint32_t)remarks->launch->pid && known->items[i].start >= remarks->started)
            return true;
    return false;
}

/* What was retried against the program's intent: by the records or, where these never came or were not wanted, by the
 * count. Other programs may write to a trace with a name. */
static bool say_against_intent(const struct remarks *remarks)
{
    struct against_intent against = remarks->feed->against_intent;
    char words[AGAINST_INTENT_WORDS_MAX];
    if (against.receives == 0)
        against.uncertain = against.receives =
            overruled_count(remarks->overruled, remarks->feed->trace, &against.signals);
    if (!against_intent_words(&against, words))
        return false;
    message("%s: %s", remarks->trace_name, words);
    return true;
}

void remarks_say_seed(const struct remarks *remarks)
{
    const struct trace_options *given = &remarks->settings->trace;
    const struct trace *trace = remarks->feed->trace;
    uint64_t seed = trace->header.seed, count = chance_count(remarks->chance, trace, remarks->rules);
    if (count > 0 && !(given->seeded && given->seed == seed))
        message("%s: %" PRIu64 " fault%s injected; --seed %" PRIu64 " repeats %s", remarks->name, count,
                count == 1 ? "" : "s", seed, count == 1 ? "it" : "them");
}

/* ---- nothing was seen ---- */

static uint64_t count_seen(const struct feed *feed)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < feed->trace->header.shards; i++)
        seen += feed->reader.shards[i].cursor - feed->reader.shards[i].start;
    return seen;
}

/* What would help one of the programs that ran. Of one that makes no sockets nothing can be told: all read files. */
static bool find_advice(const struct remarks *remarks, const char *path, char words[RECEPTION_WORDS_MAX])
{
    const struct library_places places = {.search = getenv("LD_LIBRARY_PATH"), .cache = LIBRARIES_CACHE};
    struct libraries libraries;
    libraries_begin(&libraries);
    libraries_walk(&libraries, path, &places);
    bool found = reception_makes_sockets(&libraries) && reception_advice(&libraries, remarks->settings->calls, words);
    libraries_free(&libraries);
    return found;
}

static bool find_best_advice(const struct remarks *remarks, char words[RECEPTION_WORDS_MAX])
{
    const struct family *family = remarks->family;
    for (size_t i = family->program_count; i-- > 0;)
        if (find_advice(remarks, family->programs[i], words))
            return true;
    return find_advice(remarks, remarks->inspection->resolution.path, words);
}

static void say_nothing_seen(const struct remarks *remarks)
{
    const uint32_t both = 1U << RECVSHIM_EVENT_CONNECT | 1U << RECVSHIM_EVENT_ACCEPT;
    bool connected = remarks->family->connections > 0 || (remarks->recorded.events & both) != both;
    const char *nor = connected ? "" : ", and no connection";
    char handled[RECEPTION_LIST_MAX], words[RECEPTION_WORDS_MAX];
    reception_list(remarks->settings->calls, " or ", handled);
    if (find_best_advice(remarks, words))
        message("%s: no %s was seen%s; %s", remarks->name, handled, nor, words);
    else
        message("%s: no %s was seen%s; it received nothing, or by what is never seen: recvshim check tells",
                remarks->name, handled, nor);
}

/* ---- all of it ---- */

/* Whether every process that ends and can tell is in what was read. Of those of another pid namespace nobody here knows
 * by what number to ask. */
static bool has_all_departures(const struct remarks *remarks)
{
    const struct recording *then = &remarks->recorded;
    struct recording now = {0};
    return recording_look(remarks->feed->trace, &now) && now.tracing && then->tracing && !now.foreign &&
           (now.events & then->events & 1U << RECVSHIM_EVENT_EXIT) != 0 &&
           feed_lost(remarks->feed, remarks->written) == 0;
}

void remarks_say(const struct remarks *remarks)
{
    const struct recording *recorded = &remarks->recorded;
    bool expected = recorded->tracing && (recorded->events >> RECVSHIM_EVENT_RECEIVE & 1) != 0;
    bool registered = has_registered(remarks), told = inspect_reason(remarks->inspection) != NULL;
    bool retried = say_against_intent(remarks);
    const struct family_end end = {.name = remarks->name,
                                   .comm = remarks->launch->comm,
                                   .killed = remarks->launch->killed,
                                   .told = told,
                                   .departures = has_all_departures(remarks)};
    bool said = family_report(remarks->family, &end);
    if (!registered && !told && !said)
        message("%s: was not traced: the library was not loaded, or could not open the trace", remarks->name);
    else if (registered && !told && !said && count_seen(remarks->feed) == remarks->feed->others && !retried && expected)
        say_nothing_seen(remarks);
    feed_report_losses(remarks->feed, remarks->trace_name, remarks->written);
    missing_report_processes(remarks->feed->trace, &remarks->feed->processes, remarks->trace_name);
    if (remarks->written)
        message("%s: other processes run on under this trace; their events are not printed any more", remarks->name);
}
