/* Each fault does to a receive what could have happened to it: nothing is invented that a kernel, a network or a peer
 * cannot do, and nothing is taken from the socket that the program does not get, but for what `drop` and `truncate`
 * throw away. */
#include "inject.h"

#include "address.h"
#include "connection.h"
#include "endpoints.h"
#include "handled.h"
#include "handlers.h"
#include "next.h"
#include "query.h"
#include "receive.h"
#include "report.h"
#include "vfork.h"

#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

static void fail(struct outcome *outcome, int error)
{
    outcome->result = -1;
    outcome->error = error;
}

/* The fault has its effect. Returns false where it was used up by others meanwhile. */
static bool take(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    if (!fault_take(plan))
        return false;
    outcome->injected |= (uint16_t)(1U << plan->fault.action);
    report_fault(call, &plan->fault);
    return true;
}

/* A receive is a cancellation point also where it has something to return, and one that is not made is none. Nothing
 * has been taken yet. Not pthread_testcancel, which old systems keep in a library of its own: to become cancellable at
 * any time acts on what is pending at once (pthread_setcanceltype(3)). */
static void act_on_cancellation(void)
{
    int type;
    /* NOLINTNEXTLINE(cert-pos47-c): for no longer than the next line */
    if (pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type) == 0)
        pthread_setcanceltype(type, NULL);
}

/* ---- what has to be asked for ---- */

/* Ends that this process was not told are asked for: of what it inherited, and of what it accepted while nobody wanted
 * to know. */
static bool peer_of(int fd, uint64_t word, struct recvshim_address *peer)
{
    uint64_t id = connection_id(word);
    struct endpoints endpoints = {0};
    bool noted = endpoints_get(fd, id, &endpoints), known = (endpoints.known & RECVSHIM_RESULT_PEER) != 0;
    bool stranger = !noted && connection_type(word) == 0;
    if (!known && (stranger || (word & CONNECTION_CONNECTED) != 0) && query_allowed()) {
        query_endpoints(fd, true, &endpoints);
        endpoints_set(fd, id, &endpoints);
        connection_mark(fd, id, CONNECTION_LOCAL_OWED, 0); /* the trace has not been told our end */
    }
    *peer = endpoints.peer;
    return (endpoints.known & RECVSHIM_RESULT_PEER) != 0;
}

static int type_of(const struct call *call)
{
    int type = connection_type(connection_word(call->fd));
    return type != 0 ? type : report_learn_type(call->fd);
}

/* With another address buffer than the program's, which has that room. */
static void obtain_with_room(const struct call *call, struct outcome *outcome, socklen_t room)
{
    socklen_t own = outcome->room;
    outcome->room = room;
    receive_obtain(call, outcome);
    outcome->room = own;
}

/* Wait for a datagram as the call would, and look who sent it. Returns false where that failed: so has the call then.
 */
__attribute__((noinline)) static bool look_at_source(const struct call *call, struct outcome *outcome,
                                                     struct fault_facts *facts)
{
    struct sockaddr_un longest;
    socklen_t length = sizeof longest;
    char nothing;
    struct call look = *call;
    look.which = RECVSHIM_CALL_RECVFROM;
    look.buffer = &nothing;
    look.length = 0;
    look.flags = (look.flags | MSG_PEEK) & ~(MSG_TRUNC | MSG_WAITALL);
    look.address = (struct sockaddr *)&longest;
    look.address_length = &length;
    obtain_with_room(&look, outcome, sizeof longest);
    facts->has_peer = outcome->result >= 0 &&
                      address_take(look.address, length < sizeof longest ? length : sizeof longest, &facts->peer);
    return outcome->result >= 0;
}

/* Returns false where the call is over by that. */
static bool find_peer(const struct call *call, struct outcome *outcome, struct fault_facts *facts)
{
    facts->has_peer = peer_of(call->fd, outcome->word, &facts->peer);
    if (facts->has_peer || (call->flags & (MSG_ERRQUEUE | MSG_OOB)) != 0)
        return true;
    facts->type = type_of(call);
    return facts->type != SOCK_DGRAM || look_at_source(call, outcome, facts);
}

/* ---- delay ---- */

/* Whether a handler that ran meanwhile ends the call, as it would have ended the receive. clock_nanosleep is
 * interrupted by each, SA_RESTART or not, so under `never` those that can have done it are looked for. */
static bool is_interrupted(const struct call *call, const struct outcome *outcome)
{
    uint64_t intended;
    if (receive_settings.eintr == EINTR_NEVER)
        return handlers_candidates(connection_may_time_out(call->fd), query_allowed(), &intended) != 0;
    return handled_passing(outcome->handled);
}

/* Sleep, which is a cancellation point as the receive is. Returns false where it is over by a signal. */
static bool wait_out(const struct call *call, uint64_t delay, struct outcome *outcome)
{
    uint64_t until = clock_now() + delay;
    struct timespec deadline = {.tv_sec = (time_t)(until / NANOSECONDS_A_SECOND),
                                .tv_nsec = (long)(until % NANOSECONDS_A_SECOND)};
    outcome->injected |= 1U << RECVSHIM_ACTION_DELAY;
    outcome->delayed = delay;
    if (outcome->entry != 0)
        outcome->entry += delay; /* the call starts later, and so does its time-out */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) {
        if (is_interrupted(call, outcome)) {
            outcome->passed = true;
            outcome->timed = connection_may_time_out(call->fd);
            fail(outcome, EINTR);
            return false;
        }
    }
    return true;
}

/* ---- the others ---- */

/* As the kernel does at the end of a stream (tcp_recvmsg, unix_stream_read_generic): no address. */
static void end(const struct call *call, struct outcome *outcome)
{
    outcome->result = 0;
    if (call->address != NULL && outcome->room != 0)
        *call->address_length = 0;
}

static void stay_ended(const struct call *call, struct outcome *outcome)
{
    act_on_cancellation();
    outcome->injected |= 1U << RECVSHIM_ACTION_EOF;
    end(call, outcome);
}

static void ask_for_less(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    struct call less = *call;
    if (plan->fault.value < less.length && take(call, plan, outcome))
        less.length = (size_t)plan->fault.value;
    receive_obtain(&less, outcome);
}

/* Wait for a datagram as the call would, throw it away, and go on with what is left of the call's time. */
__attribute__((noinline)) static void drop(const struct call *call, struct fault_plan *plan, struct outcome *outcome)
{
    struct sockaddr_un longest;
    socklen_t length = sizeof longest;
    struct recvshim_address source;
    char nothing;
    struct call first = *call;
    first.which = RECVSHIM_CALL_RECVFROM;
    first.buffer = &nothing;
    first.length = 0;
    first.flags &= ~(MSG_PEEK | MSG_TRUNC);
    first.address = (struct sockaddr *)&longest;
    first.address_length = &length;
    if (outcome->entry == 0)
        outcome->entry = clock_now();
    obtain_with_room(&first, outcome, sizeof longest);
    if (outcome->result < 0)
        return;
    if (address_take(first.address, length < sizeof longest ? length : sizeof longest, &source))
        plan->fault.source = &source;
    take(call, plan, outcome);
    plan->fault.source = NULL;
    receive_go_on(call, outcome);
}

/* With MSG_TRUNC a stream's data is thrown away by the kernel: the buffer holds none. */
static void corrupt(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    receive_obtain(call, outcome);
    bool thrown_away = (call->flags & MSG_TRUNC) != 0 && type_of(call) != SOCK_DGRAM;
    if (outcome->result <= 0 || thrown_away || !take(call, plan, outcome))
        return;
    size_t size = (size_t)outcome->result < call->length ? (size_t)outcome->result : call->length;
    fault_flip(call->buffer, size, plan->fault.value, plan->fault.draw);
}

static void set_scope(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    receive_obtain(call, outcome);
    sa_family_t family = AF_UNSPEC;
    if (outcome_address_size(call, outcome) >= sizeof(struct sockaddr_in6))
        memcpy(&family, call->address, sizeof family);
    if (family != AF_INET6 || !take(call, plan, outcome))
        return;
    uint32_t scope_id = (uint32_t)plan->fault.value;
    memcpy((char *)call->address + offsetof(struct sockaddr_in6, sin6_scope_id), &scope_id, sizeof scope_id);
}

static void interrupt(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    if (take(call, plan, outcome))
        outcome->interruptions = (uint32_t)plan->fault.value;
    receive_obtain(call, outcome);
}

static void carry_out(const struct call *call, struct fault_plan *plan, struct outcome *outcome)
{
    switch (plan->fault.action) {
    case RECVSHIM_ACTION_ERROR:
        act_on_cancellation();
        if (take(call, plan, outcome))
            fail(outcome, (int)plan->fault.value);
        else
            receive_obtain(call, outcome);
        break;
    case RECVSHIM_ACTION_EOF:
        act_on_cancellation();
        if (take(call, plan, outcome)) {
            fault_end(plan);
            end(call, outcome);
        } else {
            receive_obtain(call, outcome);
        }
        break;
    case RECVSHIM_ACTION_SHORT:
    case RECVSHIM_ACTION_TRUNCATE:
        ask_for_less(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_INTERRUPT:
        interrupt(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_DROP:
        drop(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_CORRUPT:
        corrupt(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_SCOPE:
        set_scope(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_DELAY:
    case RECVSHIM_ACTIONS:
        receive_obtain(call, outcome);
        break;
    }
}

/* Try the rules, and do what they say. Out of line: most calls are left alone. */
__attribute__((noinline)) static void try_rules(const struct call *call, struct fault_plan *plan,
                                                struct outcome *outcome)
{
    static const struct fault_questions questions = {.type = type_of, .tell = report_fault};
    struct fault_facts facts = {.call = call, .type = connection_type(outcome->word)};
    if (facts.type == 0)
        facts.type = -1;
    const bool over = plan->asks_peer && !find_peer(call, outcome, &facts);
    if (plan->asks_peer && facts.has_peer)
        plan->fault.source = &facts.peer;
    fault_plan(&facts, &questions, plan);
    if (plan->delay != 0 && !wait_out(call, plan->delay, outcome))
        return;
    if (plan->ended)
        stay_ended(call, outcome);
    else if (!over || plan->fault.action == RECVSHIM_ACTION_ERROR)
        carry_out(call, plan, outcome); /* else there was nothing that a fault can be done to */
}

/* A child of vfork has its parent's memory, and may have anything under its parent's numbers: what rules count is not
 * its own, and is left alone. */
void inject(const struct call *call, struct outcome *outcome)
{
    if (vfork_in_child()) {
        receive_obtain(call, outcome);
        return;
    }
    const bool data = (call->flags & (MSG_ERRQUEUE | MSG_OOB)) == 0;
    struct fault_plan plan;
    fault_begin(call, outcome->word, &plan);
    plan.ended &= data;
    if (plan.selects)
        try_rules(call, &plan, outcome);
    else if (plan.ended)
        stay_ended(call, outcome);
    else
        receive_obtain(call, outcome);
    if (outcome->result > 0 && data && (call->flags & MSG_PEEK) == 0)
        fault_received(&plan, (uint64_t)outcome->result);
}
