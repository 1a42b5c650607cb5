/* libFuzzer: the control page as traced processes read it: whoever may write the trace has written any bytes there, and
 * receives are made under them. Only rules that are rules may act, with values that they have; and nothing is counted
 * where it does not belong.
 *
 * The first bytes are a receive; those behind are laid by exclusive or over a page with good rules, so that most inputs
 * change little in it. */
#include "preload/fault.h"
#include "preload/origin.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define HEAD     16 /* bytes that are a receive, and how often it is made */
#define RECEIVES 8

/* What fault.c takes from elsewhere. */
static struct recvshim_control page;
_Atomic(const struct recvshim_control *) recorder_control = &page;
static struct recvshim_rule_counters counters[RECVSHIM_MAX_RULES];

struct recvshim_rule_counters *recorder_rules(void)
{
    return counters;
}

uint64_t origin_of(int fd)
{
    (void)fd;
    return 7;
}

uint32_t origin_place(int fd, uint64_t id)
{
    (void)fd, (void)id;
    return 65536;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Of each action one, with what only some rules have. */
static const char texts[] =
    "*:delay=1us..5us:times=3; *:error=ECONNRESET:p=0.5; *:short=1..7:when=2..20+2:per=connection;"
    "*:corrupt=3:after=10:p=0.9; *:truncate=5:type=dgram:times=2:per=connection;"
    "recvfrom:scope=2:peer=[2001::]/17:per=trace:times=2; *:interrupt=2:peer=1.0.0.0/8:port=80;"
    "*:eof:fd=3:per=trace:when=2; *:drop:peer=1.2.3.4";
static struct fault_rules rules;

static void fill_page(const uint8_t *bytes, size_t size, uint32_t first)
{
    static uint32_t generation; /* another each time: what rules have counted is nothing to this one */
    memset(&page, 0, offsetof(struct recvshim_control, rule_words));
    for (uint32_t i = 0; i < rules.count; i++)
        memcpy(page.rule_words[i], &rules.rules[(first + i) % rules.count], sizeof rules.rules[0]);
    generation += 2;
    atomic_store_explicit(&page.generation, generation, memory_order_relaxed);
    atomic_store_explicit(&page.rules, rules.count, memory_order_relaxed);
    uint8_t *at = (uint8_t *)&page + offsetof(struct recvshim_control, generation);
    for (size_t i = 0; i < size && i < sizeof page - offsetof(struct recvshim_control, generation); i++)
        at[i] ^= bytes[i];
}

/* ---- a receive ---- */

static int type;
static int ask_type(const struct call *call)
{
    (void)call;
    return type;
}

static void look_at_delay(const struct call *call, const struct fault *fault)
{
    (void)call;
    check(fault->action == RECVSHIM_ACTION_DELAY && fault->rule >= 1 && fault->rule <= RECVSHIM_MAX_RULES);
}

static void act(const struct fault_plan *plan, const struct fault_facts *facts, uint64_t word, size_t length)
{
    const struct fault *fault = &plan->fault;
    const struct recvshim_rule *rule = &plan->rule;
    check(fault_rule_valid(rule) && fault->action == (enum recvshim_action)rule->action);
    check(fault->rule >= 1 && fault->rule <= plan->rules);
    check(fault->value >= rule->low && fault->value <= rule->high && fault->origin == 7);
    if (facts->has_peer && fault_is_of(plan, &facts->peer) && fault_reserve(plan)) {
        fault_give_back(plan);
        check(fault_reserve(plan));
        fault_has_acted(plan);
    }
    if (fault->action == RECVSHIM_ACTION_EOF)
        fault_end(plan);
    if (fault->action == RECVSHIM_ACTION_CORRUPT && length > 0) {
        uint64_t bits = fault_bits(length, fault->value);
        check(bits <= length * 8 && fault->draw != 0);
        for (uint64_t i = 0, before = 0; i < bits && i < 100; i++) {
            uint64_t bit = fault_bit(length, fault->value, fault->draw, i);
            check(bit < length * 8 && (i == 0 || bit > before));
            before = bit;
        }
    }
    fault_received(plan, word, length);
}

static void receive(const uint8_t *head)
{
    static const struct fault_questions questions = {ask_type, look_at_delay};
    struct sockaddr_storage address;
    const struct call call = {.which = head[0] % RECVSHIM_CALLS,
                              .fd = head[1],
                              .flags = head[2] | (head[3] & 0x20) << 8, /* MSG_ERRQUEUE is 0x2000 */
                              .address = (head[3] & 1) != 0 ? (struct sockaddr *)&address : NULL};
    const uint64_t word =
        (uint64_t)(head[4] & 1) << CONNECTION_ID_SHIFT | ((head[4] & 2) != 0 ? CONNECTION_DUPLICATED : 0);
    struct fault_facts facts = {.call = &call,
                                .type = (head[4] & 4) != 0 ? -1 : head[5] & 7,
                                .may_sleep = (head[4] & 8) != 0,
                                .has_peer = (head[4] & 16) != 0,
                                .peer = {.family = head[6] & 15, .port = head[7]}};
    struct fault_plan plan;
    type = head[5] & 7;
    memcpy(facts.peer.bytes, head + 8, 8);
    fault_begin(&call, word, &plan);
    check(plan.rules <= RECVSHIM_MAX_RULES);
    if (!plan.selects)
        return;
    fault_plan(&facts, &questions, &plan);
    if (plan.fault.action != RECVSHIM_ACTIONS)
        act(&plan, &facts, word, (size_t)head[2] * head[7]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct fault_rules none;
    if (size < HEAD)
        return 0;
    if (fault_connections == NULL) {
        char problem[FAULT_PROBLEM_MAX];
        check(fault_start(&none, 1) && fault_rules_parse(texts, &rules, problem));
    }
    fill_page(bytes + HEAD, size - HEAD, bytes[6] >> 4);
    memset(&fault_connections[bytes[1]], 0, sizeof *fault_connections);
    memset(&fault_connections[65536], 0, sizeof *fault_connections);
    for (int i = 0; i < RECEIVES; i++)
        receive(bytes);
    return 0;
}
