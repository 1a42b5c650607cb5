#include "interruption.h"

#include "trace/line.h"
#include "trace/signal_names.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

const char *const outcome_names[OUTCOMES] = {"none", "retried", "passed", "left"};

static bool is_receive(const struct recvshim_record *record)
{
    return record->event < RECVSHIM_EVENT_CONNECT;
}

struct interruption interruption_of(const struct recvshim_record *record)
{
    struct interruption found = {OUTCOME_NONE, CERTAINTY_UNKNOWN, 0};
    uint16_t flags = record->result_flags;
    if (!is_receive(record) || (record->retries == 0 && record->event != RECVSHIM_EVENT_INTERRUPTED))
        return found;
    found.outcome = record->event != RECVSHIM_EVENT_INTERRUPTED ? OUTCOME_RETRIED
                    : (flags & RECVSHIM_RESULT_PASSED) != 0     ? OUTCOME_PASSED
                                                                : OUTCOME_LEFT;
    /* The signals lie where the end of an IPv6 address of ours does: no honest record has both. */
    bool overlapped = (flags & RECVSHIM_RESULT_LOCAL) != 0 && record->family == AF_INET6;
    if (overlapped || (flags & (RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES)) == 0)
        return found;
    found.certainty = (flags & RECVSHIM_RESULT_SIGNALS) != 0 ? CERTAINTY_EXACT : CERTAINTY_CANDIDATES;
    found.signals = record->signals;
    return found;
}

/* ---- words ---- */

void signals_for_each(uint64_t signals, void (*each)(void *context, const char *name), void *context)
{
    for (uint64_t rest = signals; rest != 0; rest &= rest - 1) {
        char name[SIGNAL_NAME_MAX];
        signal_name(__builtin_ctzll(rest) + 1, name);
        each(context, name);
    }
}

/* A list that is being made. */
struct list {
    struct line line;
    const char *last; /* what comes before its last item: " and " */
    unsigned int named, items, done;
};

static void next_item(struct list *list)
{
    if (list->done > 0)
        line_add(&list->line, list->done + 1 == list->items ? list->last : ", ");
    list->done++;
}

static void add_name(void *context, const char *name)
{
    struct list *list = context;
    if (list->done == list->named)
        return;
    next_item(list);
    line_add(&list->line, name);
}

static void list_signals(struct list *list, uint64_t signals)
{
    unsigned int count = (unsigned int)__builtin_popcountll(signals);
    if (count == 0) {
        line_add(&list->line, "SIGSTOP and SIGCONT"); /* what interrupts without a handler */
        return;
    }
    list->named = count > 5 ? 4 : count;
    list->items = count > 5 ? 5 : count;
    /* Many programs handle what their own faults raise, but those come while they run, not while they wait. */
    uint64_t faults = signals & (signals_of_faults() | signal_bit(SIGABRT));
    signals_for_each(signals & ~faults, add_name, list);
    signals_for_each(faults, add_name, list);
    if (list->items > list->named) {
        next_item(list);
        line_add_number(&list->line, count - list->named);
        line_add(&list->line, " others");
    }
}

void interruption_words(const struct interruption *interruption, const char *preposition,
                        char words[INTERRUPTION_WORDS_MAX])
{
    bool exact = interruption->certainty == CERTAINTY_EXACT;
    struct list list = {.line = {words, INTERRUPTION_WORDS_MAX, 0}, .last = exact ? " and " : " or "};
    words[0] = '\0';
    if (interruption->certainty == CERTAINTY_UNKNOWN)
        return;
    line_add(&list.line, exact ? " " : ", perhaps ");
    line_add(&list.line, preposition);
    line_add(&list.line, " ");
    list_signals(&list, interruption->signals);
}

/* ---- sums ---- */

static bool is_same(const struct interruption *left, const struct interruption *right)
{
    return left->signals == right->signals && left->outcome == right->outcome && left->certainty == right->certainty;
}

static struct interruption_sums *sums_of(struct interruptions *interruptions, const struct interruption *interruption)
{
    for (size_t i = 0; i < interruptions->count; i++)
        if (is_same(&interruptions->rows[i].interruption, interruption))
            return &interruptions->rows[i];
    struct interruption_sums *sums = &interruptions->others[interruption->outcome];
    if (interruptions->count < INTERRUPTIONS_MAX) {
        sums = &interruptions->rows[interruptions->count++];
        sums->interruption = *interruption;
    } else {
        sums->interruption = (struct interruption){interruption->outcome, CERTAINTY_UNKNOWN, 0};
    }
    return sums;
}

void interruptions_add(struct interruptions *interruptions, const struct recvshim_record *record)
{
    struct interruption interruption = interruption_of(record);
    if (interruption.outcome == OUTCOME_NONE)
        return;
    struct interruption_sums *sums = sums_of(interruptions, &interruption);
    sums->receives++;
    if (__builtin_add_overflow(sums->retries, record->retries, &sums->retries))
        sums->retries = UINT64_MAX;
}

static int compare(const void *left_row, const void *right_row)
{
    const struct interruption_sums *left = left_row, *right = right_row;
    const uint64_t keys[][2] = {{left->interruption.outcome, right->interruption.outcome},
                                {right->receives, left->receives},
                                {right->retries, left->retries},
                                {right->interruption.certainty, left->interruption.certainty},
                                {left->interruption.signals, right->interruption.signals}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

void interruptions_sort(struct interruptions *interruptions)
{
    qsort(interruptions->rows, interruptions->count, sizeof interruptions->rows[0], compare);
}

/* ---- the policy `intent` ---- */

void against_intent_note(struct against_intent *against, const struct recvshim_record *record)
{
    if (!is_receive(record) || record->retries == 0)
        return;
    struct interruption interruption = interruption_of(record);
    uint64_t matter = interruption.signals & signals_of_intent();
    against->receives++;
    against->uncertain += interruption.certainty != CERTAINTY_EXACT;
    against->signals |= matter != 0 ? matter : interruption.signals;
}

bool against_intent_words(const struct against_intent *against, char words[AGAINST_INTENT_WORDS_MAX])
{
    if (against->receives == 0)
        return false;
    const struct interruption interruption = {
        OUTCOME_RETRIED, against->uncertain == 0 ? CERTAINTY_EXACT : CERTAINTY_CANDIDATES, against->signals};
    char after[INTERRUPTION_WORDS_MAX];
    interruption_words(&interruption, "after", after);
    bool known = against->signals != 0, one = (against->signals & (against->signals - 1)) == 0;
    snprintf(words, AGAINST_INTENT_WORDS_MAX,
             "%" PRIu64 " receive%s retried%s%s whose handler%s not ask for restarts (SA_RESTART): the program may "
             "count on EINTR to stop or to time out; try --eintr intent",
             against->receives, against->receives == 1 ? " was" : "s were", known ? after : " after a signal",
             known ? "," : "", one ? " does" : "s do");
    return true;
}
