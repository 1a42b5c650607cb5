#include "fault_list.h"

#include <stdlib.h>

void fault_list_free(struct fault_list *list)
{
    free(list->items);
    free(list->rules);
    *list = (struct fault_list){0};
}

void fault_list_add(struct fault_list *list, const struct event *event)
{
    struct recvshim_rule rule;
    if (!event->is_fault || list->out_of_memory)
        return;
    if (event->fault.action == RECVSHIM_ACTION_DELAY && event->fault.value == 0)
        return; /* as delay=0s..1ms may draw */
    if (!injection_rule(&event->fault, &rule)) {
        list->senseless++;
        return;
    }
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 256 : list->room * 2;
        struct fault_item *items = reallocarray(list->items, room, sizeof *items);
        if (items == NULL) {
            list->out_of_memory = true;
            return;
        }
        list->items = items;
        list->room = room;
    }
    const struct recvshim_record *record = &event->record;
    list->items[list->count++] =
        (struct fault_item){event->fault, record->time, record->connection, record->pid, record->tid};
}

/* ---- orders ---- */

static int compare(const uint64_t (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i][0] != pairs[i][1])
            return pairs[i][0] < pairs[i][1] ? -1 : 1;
    return 0;
}
#define COMPARE(pairs) compare(pairs, sizeof(pairs) / sizeof(pairs)[0])

static bool is_delay(const struct fault_item *item)
{
    return item->injection.action == RECVSHIM_ACTION_DELAY;
}

/* Those of one call in a row, as they came: its delays in the order of their rules, then whatever else. */
static int by_call(const void *left_item, const void *right_item)
{
    const struct fault_item *left = left_item, *right = right_item;
    const uint64_t pairs[][2] = {{left->injection.origin, right->injection.origin},
                                 {left->injection.ordinal, right->injection.ordinal},
                                 {left->pid, right->pid},
                                 {left->tid, right->tid},
                                 {left->connection, right->connection},
                                 {left->time, right->time},
                                 {!is_delay(left), !is_delay(right)},
                                 {left->injection.rule, right->injection.rule}};
    return COMPARE(pairs);
}

/* Those that can become one rule in a row. */
static int by_kind(const void *left_item, const void *right_item)
{
    const struct injection *left = &((const struct fault_item *)left_item)->injection;
    const struct injection *right = &((const struct fault_item *)right_item)->injection;
    const uint64_t pairs[][2] = {{left->origin, right->origin},
                                 {left->action, right->action},
                                 {left->value, right->value},
                                 {left->draw, right->draw},
                                 {left->ordinal, right->ordinal}};
    return COMPARE(pairs);
}

static int by_place(const void *left_rule, const void *right_rule)
{
    const struct recvshim_rule *left = left_rule, *right = right_rule;
    const uint64_t pairs[][2] = {{left->origin, right->origin}, {left->first, right->first}, {left->last, right->last},
                                 {left->action, right->action}, {left->low, right->low},     {left->draw, right->draw}};
    return COMPARE(pairs);
}

/* ---- calls ---- */

/* What one call suffered. */
struct call {
    size_t from, to;
    uint64_t time;
    uint64_t delay;                /* of all rules; 0: none */
    const struct injection *other; /* NULL: none */
};

static bool is_same_place(const struct fault_item *left, const struct fault_item *right)
{
    return left->injection.origin == right->injection.origin && left->injection.ordinal == right->injection.ordinal;
}

static bool is_same_receiver(const struct fault_item *left, const struct fault_item *right)
{
    return left->pid == right->pid && left->tid == right->tid && left->connection == right->connection;
}

/* The call that begins there: each rule delays it once, the earlier ones first, and a fault that is no delay comes
 * last. Returns where the next one begins. */
static size_t take_call(const struct fault_list *list, size_t from, size_t end, struct call *call)
{
    const struct fault_item *items = list->items;
    uint32_t rule = 0;
    size_t at = from;
    *call = (struct call){.from = from, .time = items[from].time};
    for (; at < end && is_same_receiver(&items[from], &items[at]) && call->other == NULL; at++) {
        const struct injection *injection = &items[at].injection;
        if (!is_delay(&items[at]))
            call->other = injection;
        else if (at > from && injection->rule <= rule)
            break;
        else
            call->delay += injection->value; /* an hour at most: millions of them would not wrap */
        rule = injection->rule;
    }
    call->to = at;
    return at;
}

static bool suffered_the_same(const struct call *left, const struct call *right)
{
    const struct injection *one = left->other, *other = right->other;
    if (left->delay != right->delay || (one == NULL) != (other == NULL))
        return false;
    return one == NULL || (one->action == other->action && one->value == other->value && one->draw == other->draw);
}

/* Where two delays are too long for one rule, they stay two. */
static bool add_to(struct fault_item *sum, const struct fault_item *item)
{
    struct injection longer = sum->injection;
    struct recvshim_rule rule;
    if (!is_delay(sum) || !is_delay(item) ||
        __builtin_add_overflow(longer.value, item->injection.value, &longer.value) || !injection_rule(&longer, &rule))
        return false;
    sum->injection = longer;
    return true;
}

/* Of the receives that are the same one of several runs, keep what the first one suffered. The others should have
 * suffered that as well. */
static size_t keep_first(struct fault_list *list, size_t from, size_t end, size_t kept)
{
    struct call first, call;
    take_call(list, from, end, &first);
    for (size_t at = first.to; at < end;) {
        at = take_call(list, at, end, &call);
        if (call.time < first.time)
            first = call;
    }
    for (size_t at = from; at < end;) {
        at = take_call(list, at, end, &call);
        bool same = suffered_the_same(&first, &call);
        list->contrary += !same;
        list->repeated += same;
    }
    list->repeated--; /* the first itself */
    size_t begin = kept;
    for (size_t at = first.from; at < first.to; at++)
        if (kept == begin || !add_to(&list->items[kept - 1], &list->items[at]))
            list->items[kept++] = list->items[at];
    return kept;
}

/* ---- rules ---- */

/* How many of those from there on are one rule: the same at equal distances. */
static size_t count_run(const struct fault_list *list, size_t from)
{
    const struct injection *first = &list->items[from].injection;
    uint64_t step = 0, last = first->ordinal;
    size_t at = from + 1;
    for (; at < list->count; at++) {
        const struct injection *next = &list->items[at].injection;
        bool same = next->origin == first->origin && next->action == first->action && next->value == first->value &&
                    next->draw == first->draw;
        if (!same || next->ordinal == last || (step != 0 && next->ordinal - last != step))
            break;
        step = next->ordinal - last;
        last = next->ordinal;
    }
    return at - from;
}

static void make_rules(struct fault_list *list)
{
    list->rules = reallocarray(NULL, list->count + 1, sizeof *list->rules);
    if (list->rules == NULL) {
        list->out_of_memory = true;
        return;
    }
    for (size_t at = 0; at < list->count;) {
        size_t run = count_run(list, at);
        struct recvshim_rule *rule = &list->rules[list->rule_count++];
        injection_rule(&list->items[at].injection, rule);
        if (run > 1) {
            rule->last = list->items[at + run - 1].injection.ordinal;
            rule->step = list->items[at + 1].injection.ordinal - rule->first;
        }
        at += run;
    }
    qsort(list->rules, list->rule_count, sizeof *list->rules, by_place);
}

void fault_list_finish(struct fault_list *list)
{
    size_t kept = 0;
    if (list->out_of_memory)
        return;
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, by_call);
    for (size_t from = 0, end; from < list->count; from = end) {
        end = from + 1;
        while (end < list->count && is_same_place(&list->items[from], &list->items[end]))
            end++;
        kept = keep_first(list, from, end, kept);
    }
    list->count = list->injections = kept;
    if (kept > 0)
        qsort(list->items, kept, sizeof *list->items, by_kind);
    make_rules(list);
}
