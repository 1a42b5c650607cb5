/* Each fault does to a receive what could have happened to it: nothing is invented that a kernel, a network or a peer
 * cannot do, and nothing is taken from the socket that the program does not get, but for what `drop` and `truncate`
 * throw away. */
#include "inject_actions.h"

#include "address.h"
#include "buffers.h"
#include "connection.h"
#include "handled.h"
#include "handlers.h"
#include "inject_look.h"
#include "next.h"
#include "query.h"
#include "receive.h"
#include "report.h"
#include "retry.h"
#include "rights.h"
#include "source.h"

#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static void fail(struct outcome *outcome, int error)
{
    outcome->result = -1;
    outcome->error = error;
}

/* While the call waited other rules may have been set, whose counts those of the plan are not. */
static bool counts_no_more(const struct call *call, const struct fault_plan *plan)
{
    return fault_is_over(plan, connection_word(call->fd));
}

static void tell(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    if (!counts_no_more(call, plan))
        fault_has_acted(plan);
    outcome->injected |= (uint16_t)(1U << plan->fault.action);
    report_fault(call, &plan->fault);
}

/* The fault has its effect now. Returns false where it was used up by others meanwhile, or its rules hold no more. */
static bool take(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    if (counts_no_more(call, plan) || !fault_reserve(plan))
        return false;
    tell(call, plan, outcome);
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

/* ---- delay ---- */

/* Whether a handler that has just run ends the call, as it would have ended the receive. clock_nanosleep is interrupted
 * by each, SA_RESTART or not: of one that was not seen only those are known that it can have been. `since`: when the
 * sleep began. */
static bool is_interrupted(const struct call *call, const struct outcome *outcome, uint64_t since)
{
    uint64_t intended;
    if (receive_settings.eintr == EINTR_ALWAYS || handled_now() != since)
        return handled_passing(outcome->handled);
    return handlers_candidates(connection_may_time_out(call->fd), query_allowed(), &intended) != 0;
}

bool inject_delay(const struct call *call, uint64_t delay, struct outcome *outcome)
{
    const struct timespec deadline = clock_timespec(clock_now() + delay);
    outcome->injected |= 1U << RECVSHIM_ACTION_DELAY;
    outcome->delayed = delay;
    if (outcome->entry != 0)
        outcome->entry += delay; /* the call starts later, and so does its time-out */
    for (;;) {
        uint64_t since = handled_now();
        if (next_libc_clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) != EINTR)
            return true;
        retry_let_handlers_run();
        if (is_interrupted(call, outcome, since)) {
            outcome->passed = true;
            outcome->timed = connection_may_time_out(call->fd);
            fail(outcome, EINTR);
            return false;
        }
    }
}

/* ---- the others ---- */

/* As the kernel does at the end of a stream (tcp_recvmsg, unix_stream_read_generic): no address, nothing besides. */
static void end(const struct call *call, struct outcome *outcome)
{
    outcome->result = 0;
    if (call->address != NULL && outcome->room != 0)
        *call->address_length = 0;
    if (call->form == RECVSHIM_CALL_RECVMSG) {
        call->message->msg_controllen = 0;
        call->message->msg_flags = call->flags & MSG_CMSG_CLOEXEC;
    }
}

void inject_ended(const struct call *call, struct outcome *outcome)
{
    act_on_cancellation();
    outcome->injected |= 1U << RECVSHIM_ACTION_EOF;
    end(call, outcome);
}

/* By epoll(7) a receive of less than was asked for means that there is no more. Whoever waits by EPOLLET is then not
 * told again of what is there: nginx would wait for it for good. Relaxed: a switch that orders nothing. */
static _Atomic bool edges_awaited;

void inject_edges_awaited(void)
{
    atomic_store_explicit(&edges_awaited, true, memory_order_relaxed);
}

static uint8_t form_of_look(const struct call *call)
{
    return call->which == RECVSHIM_CALL_RECVFROM ? RECVSHIM_CALL_RECVFROM : RECVSHIM_CALL_RECV;
}

/* Wait until something is there to be received, as the call would. Returns false where the call is over by that. */
static bool await_data(const struct call *call, struct outcome *outcome)
{
    char byte;
    inject_look(&(struct call){.which = call->which,
                               .form = form_of_look(call),
                               .fd = call->fd,
                               .flags = call->flags,
                               .buffer = &byte,
                               .length = 1},
                outcome);
    return outcome->result > 0;
}

/* What was shortened cannot be lengthened again, so one of the rule's `times` is taken before; where less was there
 * than was asked for, it is given back. Not while the call waits: others would wait for it in vain, and one that is
 * left by siglongjmp would keep it. */
static void shorten(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    struct call less = *call;
    const bool is_counted = plan->rule.times != 0;
    bool shorter = plan->fault.value < buffers_size(call) && (!is_counted || inject_may_look(call, form_of_look(call)));
    if (shorter && is_counted && !await_data(call, outcome)) {
        if (outcome->result == 0)
            end(call, outcome);
        return;
    }
    shorter = shorter && !counts_no_more(call, plan) && fault_reserve(plan);
    if (shorter) {
        struct iovec pieces[BUFFERS_PIECES];
        int count;
        less.length = (size_t)plan->fault.value;
        less.length = buffers_part(&less, 0, pieces, &count); /* less again where it lies in many pieces */
    }
    inject_obtain(&less, outcome);
    if (shorter && outcome->result > 0 && (size_t)outcome->result == less.length) {
        tell(call, plan, outcome);
        if (atomic_load_explicit(&edges_awaited, memory_order_relaxed) && connection_is_inet(outcome->word) &&
            query_allowed())
            query_announce(call->fd);
    } else if (shorter) {
        fault_give_back(plan);
    }
}

/* Who sent the datagram that was received; false where there is no telling. */
static bool source_of(const struct call *call, const struct outcome *outcome, struct recvshim_address *source)
{
    socklen_t size = outcome_address_size(call, outcome);
    return size != 0 && address_take(call->address, size, source);
}

/* Whether what was received is what the rule was tried for: with several threads at one socket it may be the next
 * datagram, of a peer that the rule does not name. */
static bool is_meant(const struct call *call, const struct fault_plan *plan, const struct outcome *outcome)
{
    struct recvshim_address source;
    return !outcome->waited || !source_of(call, outcome, &source) || fault_is_of(plan, &source);
}

/* Bytes that the call wrote to the program's buffer. */
static size_t size_of(const struct call *call, const struct outcome *outcome)
{
    if (outcome->result <= 0)
        return 0;
    size_t size = buffers_size(call);
    return (size_t)outcome->result < size ? (size_t)outcome->result : size;
}

static void cut(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    inject_obtain(call, outcome);
    size_t size = size_of(call, outcome);
    if (size <= plan->fault.value || !is_meant(call, plan, outcome) || !take(call, plan, outcome))
        return;
    buffers_clear(call, (size_t)plan->fault.value, size); /* it is gone */
    if (call->form == RECVSHIM_CALL_RECVMSG)
        call->message->msg_flags |= MSG_TRUNC;
    if ((call->flags & MSG_TRUNC) == 0) /* else its real length is wanted */
        outcome->result = (ssize_t)plan->fault.value;
}

/* Receive a datagram as the call would, and throw it away: into the program's own buffer, because if it is not the one
 * that was meant, or others have used the rule up, the program gets it. Go on with what is left of the call's time. */
static void drop(const struct call *call, struct fault_plan *plan, struct outcome *outcome)
{
    struct recvshim_address source;
    const bool is_message = call->form == RECVSHIM_CALL_RECVMSG;
    const size_t room_for_control = is_message ? call->message->msg_controllen : 0;
    if (outcome->entry == 0)
        outcome->entry = clock_now();
    inject_obtain(call, outcome);
    if (outcome->result < 0 || !is_meant(call, plan, outcome))
        return;
    if (source_of(call, outcome, &source))
        plan->fault.source = &source;
    bool taken = take(call, plan, outcome);
    plan->fault.source = NULL;
    if (!taken)
        return;
    buffers_clear(call, 0, size_of(call, outcome)); /* it is gone */
    if (is_message) {
        rights_close(call->message); /* nobody else would */
        call->message->msg_controllen = room_for_control;
    }
    if (call->address != NULL && call_may_follow(call->address_length))
        *call->address_length = outcome->room; /* also of 0: the kernel told a length that there is no room for */
    receive_go_on(call, outcome);
}

/* What MSG_TRUNC makes of TCP's data: nothing is copied (tcp_recvmsg), and the buffer holds none of it. */
static bool is_thrown_away(const struct call *call)
{
    return (call->flags & MSG_TRUNC) != 0 && inject_type(call) == SOCK_STREAM &&
           connection_domain(connection_word(call->fd)) != AF_UNIX;
}

static void flip(const struct call *call, size_t size, uint64_t bits, uint64_t draw)
{
    for (uint64_t i = 0; i < fault_bits(size, bits); i++) {
        uint64_t bit = fault_bit(size, bits, draw, i);
        *buffers_at(call, (size_t)(bit / 8)) ^= (uint8_t)(1U << bit % 8);
    }
}

static void corrupt(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    inject_obtain(call, outcome);
    size_t size = size_of(call, outcome);
    if (size > 0 && !is_thrown_away(call) && is_meant(call, plan, outcome) && take(call, plan, outcome))
        flip(call, size, plan->fault.value, plan->fault.draw);
}

static void set_scope(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    inject_obtain(call, outcome);
    sa_family_t family = AF_UNSPEC;
    if (call->address != NULL && outcome_address_size(call, outcome) >= sizeof(struct sockaddr_in6))
        memcpy(&family, call->address, sizeof family);
    if (family != AF_INET6 || !is_meant(call, plan, outcome) || !take(call, plan, outcome))
        return;
    uint32_t scope_id = (uint32_t)plan->fault.value;
    memcpy((char *)call->address + offsetof(struct sockaddr_in6, sin6_scope_id), &scope_id, sizeof scope_id);
}

static void interrupt(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    if (take(call, plan, outcome))
        outcome->interruptions = (uint32_t)plan->fault.value;
    inject_obtain(call, outcome);
}

static void give_error(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    act_on_cancellation();
    if (take(call, plan, outcome))
        fail(outcome, (int)plan->fault.value);
    else
        inject_obtain(call, outcome);
}

static void give_end(const struct call *call, const struct fault_plan *plan, struct outcome *outcome)
{
    act_on_cancellation();
    if (take(call, plan, outcome)) {
        fault_end(plan);
        end(call, outcome);
    } else {
        inject_obtain(call, outcome);
    }
}

static void carry_out(const struct call *call, struct fault_plan *plan, struct outcome *outcome)
{
    switch (plan->fault.action) {
    case RECVSHIM_ACTION_ERROR:
        give_error(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_EOF:
        give_end(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_SHORT:
        shorten(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_INTERRUPT:
        interrupt(call, plan, outcome);
        break;
    case RECVSHIM_ACTION_TRUNCATE:
        cut(call, plan, outcome);
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
        inject_obtain(call, outcome);
        break;
    }
}

/* For a receive that wants no address, of a datagram that was looked at: to see whether it is that. */
__attribute__((noinline)) static void carry_out_with_source(const struct call *call, struct fault_plan *plan,
                                                            struct outcome *outcome)
{
    struct source source;
    struct call with_source;
    source_lend(call, &source, &with_source);
    outcome->room = SOURCE_ROOM;
    carry_out(&with_source, plan, outcome);
    if (outcome->result >= 0)
        source_return(call, &source);
    outcome->room = 0;
}

void inject_action(const struct call *call, struct fault_plan *plan, struct outcome *outcome)
{
    if (outcome->waited && call->address == NULL && source_can_be_lent(call))
        carry_out_with_source(call, plan, outcome);
    else
        carry_out(call, plan, outcome);
}
