#include "fault.h"

#include "origin.h"

#include <stddef.h>
#include <string.h>

HOT struct fault_own fault_own;

/* Written by the constructor, and never again. */
static struct recvshim_rule own[RECVSHIM_MAX_RULES];
static uint64_t seed;

static inline struct fault_brief brief_of_rule(const struct recvshim_rule *rule)
{
    bool any = rule->fd < 0;
    return (struct fault_brief){rule->calls, any ? INT32_MIN : rule->fd, any ? INT32_MAX : rule->fd,
                                fault_asks_peer(rule), rule->after != 0};
}

static void add_brief(struct fault_brief *any, struct fault_brief brief)
{
    any->calls |= brief.calls;
    any->lowest = brief.lowest < any->lowest ? brief.lowest : any->lowest;
    any->highest = brief.highest > any->highest ? brief.highest : any->highest;
    any->asks_peer |= brief.asks_peer;
    any->counts_bytes |= brief.counts_bytes;
}

bool fault_start(const struct fault_rules *rules, uint64_t with_seed)
{
    seed = with_seed;
    if (!fault_counts_start(recorder_rules()))
        return false;
    memcpy(own, rules->rules, rules->count * sizeof own[0]);
    fault_own.any = (struct fault_brief){.lowest = INT32_MAX, .highest = INT32_MIN};
    for (uint32_t i = 0; i < rules->count; i++)
        add_brief(&fault_own.any, brief_of_rule(&own[i]));
    fault_own.rules = rules->count;
    return true;
}

/* ---- the rules in force ---- */

/* The command writes the page as a seqlock: while it does, the generation is odd, and nothing is injected. Acquire: the
 * rules that are read below are not older than this. */
static inline void find_rules(struct fault_plan *plan)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    plan->control = NULL;
    plan->rules = fault_own.rules;
    plan->generation = atomic_load_explicit(&control->generation, memory_order_acquire);
    if (__builtin_expect(plan->generation == 0, 1))
        return;
    uint32_t count = atomic_load_explicit(&control->rules, memory_order_relaxed);
    plan->control = control;
    plan->rules = (plan->generation & 1U) == 0 && count <= RECVSHIM_MAX_RULES ? count : 0;
}

static inline struct fault_brief brief_of(const struct fault_plan *plan, uint32_t index)
{
    if (plan->control == NULL)
        return brief_of_rule(&own[index]);
    struct recvshim_rule rule;
    uint64_t words[3]; /* calls and fd; family and port; after */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        words[i] = atomic_load_explicit(&plan->control->rule_words[index][i], memory_order_relaxed);
    memcpy(&rule, words, sizeof words);
    return brief_of_rule(&rule);
}

/* The rule, copied where it is of a page that somebody else may have written, or is writing; NULL where it is no good.
 */
static const struct recvshim_rule *take_rule(const struct fault_plan *plan, uint32_t index, struct recvshim_rule *copy)
{
    if (plan->control == NULL)
        return &own[index];
    uint64_t words[RECVSHIM_RULE_WORDS];
    for (size_t i = 0; i < RECVSHIM_RULE_WORDS; i++)
        words[i] = atomic_load_explicit(&plan->control->rule_words[index][i], memory_order_relaxed);
    /* If any of these words is of another generation, the generation is another by now: this fence meets the
     * writer's. */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&plan->control->generation, memory_order_relaxed) != plan->generation)
        return NULL;
    memcpy(copy, words, sizeof *copy);
    return fault_rule_valid(copy) ? copy : NULL;
}

/* ---- the plan ---- */

/* Which of the rules may have to do with the call. */
static inline void look_through(const struct call *call, struct fault_plan *plan)
{
    if (plan->control == NULL) {
        plan->counts_bytes = fault_own.any.counts_bytes;
        if (!fault_may_select(fault_own.any, call))
            return;
    }
    for (uint32_t i = 0; i < plan->rules; i++) {
        struct fault_brief brief = brief_of(plan, i);
        plan->counts_bytes |= brief.counts_bytes;
        if (fault_may_select(brief, call)) {
            plan->selects = true;
            plan->asks_peer |= brief.asks_peer;
        }
    }
}

/* A connection that has one descriptor has the place of that, and its id says whose the counts there are: nothing else
 * has to come back into the caches. */
static inline void look(const struct call *call, uint64_t word, struct fault_plan *plan)
{
    find_rules(plan);
    plan->delay = 0;
    plan->fault.action = RECVSHIM_ACTIONS;
    plan->fault.source = NULL;
    plan->ended = plan->selects = plan->asks_peer = plan->counts_bytes = false;
    plan->connection = NULL;
    if (plan->rules == 0)
        return;
    uint64_t id = connection_id(word);
    uint32_t place = __builtin_expect(id != 0 && (word & CONNECTION_DUPLICATED) == 0, 1) ? (uint32_t)call->fd
                                                                                         : origin_place(call->fd, id);
    plan->tag = fault_tag(id, plan->generation);
    plan->shares_place = id == 0;
    plan->connection = fault_connections != NULL ? &fault_connections[place] : NULL;
    if (plan->connection == NULL)
        return;
    plan->ended = fault_counted(&plan->connection->ended, plan->tag) != 0;
    look_through(call, plan);
}

void fault_begin(const struct call *call, uint64_t word, struct fault_plan *plan)
{
    look(call, word, plan);
    if (plan->connection != NULL)
        plan->fault.ordinal = fault_count(&plan->connection->receives, plan->tag, 1, RECVSHIM_COUNT_MAX);
}

bool fault_concerns(const struct call *call, uint64_t word)
{
    struct fault_plan plan;
    look(call, word, &plan);
    return plan.selects || plan.ended;
}

bool fault_is_over(const struct fault_plan *plan, uint64_t word)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    return atomic_load_explicit(&control->generation, memory_order_relaxed) != plan->generation ||
           fault_tag(connection_id(word), plan->generation) != plan->tag;
}

static struct fault_pair pair_of(const struct recvshim_rule *rule, uint32_t index, const struct fault_plan *plan)
{
    return fault_counts_of(rule, index, plan->connection, plan->tag, plan->generation);
}

/* Count the call for the rule, and tell whether it is one of its `when`. */
static bool is_due(const struct recvshim_rule *rule, const struct fault_pair *pair, const struct fault_plan *plan)
{
    if (fault_rule_is_always_due(rule))
        return true;
    if (rule->per == RECVSHIM_PER_CONNECTION && fault_rule_counts_every_call(rule))
        return fault_is_due(rule, plan->fault.ordinal);
    return pair->calls != NULL && fault_is_due(rule, fault_count(pair->calls, pair->tag, 1, RECVSHIM_COUNT_MAX));
}

static bool is_left(const struct recvshim_rule *rule, const struct fault_pair *pair)
{
    return rule->times == 0 || (pair->taken != NULL && fault_counted(pair->taken, pair->tag) < rule->times);
}

static void choose(const struct recvshim_rule *rule, uint32_t index, uint64_t key, struct fault_plan *plan)
{
    plan->rule = *rule;
    plan->fault.action = (enum recvshim_action)rule->action;
    plan->fault.rule = index + 1;
    plan->fault.value = fault_value(rule, key);
    plan->fault.draw = rule->action == RECVSHIM_ACTION_CORRUPT ? fault_draw(rule, key) : 0;
}

/* A delay is not chosen: all add up. */
static void add_delay(const struct recvshim_rule *rule, uint32_t index, uint64_t key, struct fault_plan *plan,
                      const struct fault_questions *questions, const struct call *call)
{
    struct fault fault = plan->fault;
    struct fault_pair pair = pair_of(rule, index, plan);
    if (rule->times != 0 && fault_count(pair.taken, pair.tag, 1, rule->times) == 0)
        return;
    fault_counts_injected(index, plan->generation);
    fault.action = RECVSHIM_ACTION_DELAY;
    fault.rule = index + 1;
    fault.value = fault_value(rule, key);
    fault.draw = 0;
    plan->delay += fault.value;
    questions->tell(call, &fault);
}

void fault_plan(struct fault_facts *facts, const struct fault_questions *questions, struct fault_plan *plan)
{
    facts->origin = 0; /* looked up for whoever asks */
    facts->received = fault_counted(&plan->connection->received, plan->tag);
    for (uint32_t i = 0; i < plan->rules; i++) {
        struct recvshim_rule copy;
        const struct recvshim_rule *rule =
            fault_may_select(brief_of(plan, i), facts->call) ? take_rule(plan, i, &copy) : NULL;
        if (rule == NULL)
            continue;
        if (rule->action == RECVSHIM_ACTION_DELAY && !facts->may_sleep)
            continue;
        if (facts->type < 0 && fault_asks_type(rule))
            facts->type = questions->type(facts->call);
        if (rule->origin != 0)
            facts->origin = origin_of(facts->call->fd);
        if (!fault_selects(rule, facts))
            continue;
        struct fault_pair pair = pair_of(rule, i, plan);
        if (!is_due(rule, &pair, plan))
            continue;
        plan->fault.origin = origin_of(facts->call->fd);
        uint64_t key = fault_key(seed, i + 1, plan->fault.origin, plan->fault.ordinal);
        if (!fault_happens(rule, key) || !is_left(rule, &pair))
            continue;
        if (rule->action == RECVSHIM_ACTION_DELAY)
            add_delay(rule, i, key, plan, questions, facts->call);
        else if (plan->fault.action == RECVSHIM_ACTIONS)
            choose(rule, i, key, plan);
    }
}

/* ---- what became of it ---- */

bool fault_is_of(const struct fault_plan *plan, const struct recvshim_address *source)
{
    return fault_agrees(&plan->rule, source);
}

bool fault_reserve(const struct fault_plan *plan)
{
    struct fault_pair pair = pair_of(&plan->rule, plan->fault.rule - 1, plan);
    return plan->rule.times == 0 || fault_count(pair.taken, pair.tag, 1, plan->rule.times) != 0;
}

void fault_give_back(const struct fault_plan *plan)
{
    struct fault_pair pair = pair_of(&plan->rule, plan->fault.rule - 1, plan);
    if (plan->rule.times != 0)
        fault_uncount(pair.taken, pair.tag);
}

void fault_has_acted(const struct fault_plan *plan)
{
    fault_counts_injected(plan->fault.rule - 1, plan->generation);
}

void fault_end(const struct fault_plan *plan)
{
    if (!plan->shares_place)
        fault_count(&plan->connection->ended, plan->tag, 1, 1);
}

void fault_received(const struct fault_plan *plan, uint64_t word, uint64_t bytes)
{
    if (plan->counts_bytes && !fault_is_over(plan, word))
        fault_count(&plan->connection->received, plan->tag, bytes, RECVSHIM_COUNT_MAX);
}
