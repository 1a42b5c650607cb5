#include "report.h"

#include "address.h"
#include "buffers.h"
#include "classify.h"
#include "connection.h"
#include "endpoints.h"
#include "handled.h"
#include "handlers.h"
#include "query.h"
#include "receive.h"
#include "recorder.h"
#include "vfork.h"

#include "trace/cause.h"
#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* The type of a socket that this process did not make. */
__attribute__((cold, noinline)) int report_learn_type(int fd)
{
    if (!query_allowed())
        return 0;
    int domain, type = query_type(fd, &domain);
    if (!vfork_in_child())
        connection_learnt(fd, connection_id(connection_word(fd)), domain, type);
    return type;
}

/* *type is the socket's, as far as it is known. */
static enum recvshim_event event_of(const struct call *call, const struct outcome *outcome, int *type)
{
    *type = connection_type(outcome->word);
    if (outcome->result > 0)
        return RECVSHIM_EVENT_RECEIVE; /* as nearly always: not worth the calls */
    if (*type == 0 && classify_needs_type(call, outcome->result, outcome->error))
        *type = report_learn_type(call->fd);
    bool ended = (outcome->injected & 1U << RECVSHIM_ACTION_EOF) != 0;
    bool over =
        *type == SOCK_SEQPACKET && outcome->result == 0 && (ended || (query_allowed() && query_hung_up(call->fd)));
    return classify(call, outcome->result, outcome->error, *type, over);
}

/* What interrupted the call: the handlers that ran, or those that may have. Where neither is known nothing is said. */
__attribute__((cold, noinline)) static void explain(const struct call *call, const struct outcome *outcome,
                                                    struct recvshim_record *record)
{
    uint64_t signals = handled_signals(outcome->handled), intended = 0;
    uint16_t flags = RECVSHIM_RESULT_SIGNALS;
    if (signals == 0) {
        signals = handlers_candidates(outcome->timed, query_allowed(), &intended);
        flags = signals != 0 || outcome->timed ? RECVSHIM_RESULT_CANDIDATES : 0;
    }
    if (outcome->passed && record->event == RECVSHIM_EVENT_INTERRUPTED)
        flags |= RECVSHIM_RESULT_PASSED;
    if (outcome->retries != 0 && (intended != 0 || outcome->overruled))
        flags |= RECVSHIM_RESULT_INTENT;
    /* They lie where the end of the local address does, which waits for the connection's next record. */
    if ((record->result_flags & RECVSHIM_RESULT_LOCAL) != 0 && record->family == AF_INET6 && flags != 0) {
        record->result_flags &= (uint16_t)~RECVSHIM_RESULT_LOCAL;
        memset(record->local_address, 0, sizeof record->local_address);
        connection_mark(call->fd, record->connection, CONNECTION_LOCAL_OWED, 0);
    }
    record->result_flags |= flags;
    record->signals = signals;
}

/* An interruption that was injected has no signal. */
static bool is_made_up(const struct outcome *outcome)
{
    const unsigned int interruptions = 1U << RECVSHIM_ACTION_INTERRUPT | 1U << RECVSHIM_ACTION_ERROR;
    return (outcome->injected & interruptions) != 0 && handled_now() == outcome->handled;
}

static uint64_t identify(int fd, uint64_t word)
{
    if (connection_id(word) == 0) /* tracing began meanwhile, if it can have one */
        word = receive_identified(fd, word);
    return connection_id(word);
}

/* What a connection's first receive in the trace brings with it: the kernel is asked what the program did not tell. */
__attribute__((cold, noinline)) static void meet(const struct call *call, const struct outcome *outcome,
                                                 struct recvshim_record *record)
{
    uint64_t word = outcome->word, bits = CONNECTION_RECEIVED | CONNECTION_APPEARED;
    struct endpoints endpoints = {0};
    bool noted = endpoints_get(call->fd, record->connection, &endpoints);
    if (connection_is_stream(word) && outcome->result > 0)
        bits |= CONNECTION_CONNECTED;
    /* One that is not tracked would be asked about at each receive; and a number that is another's by now is not the
     * one to ask about. */
    uint64_t clear = CONNECTION_LOCAL_OWED | ((bits & CONNECTION_CONNECTED) != 0 ? CONNECTION_CONNECTING : 0U);
    if (record->connection == 0 || connection_mark(call->fd, record->connection, bits, clear) == 0)
        return;

    bool complete = noted && ((endpoints.known & RECVSHIM_RESULT_LOCAL) != 0 || endpoints.peer.family == AF_UNIX);
    if (!complete && query_allowed()) {
        if (connection_type(word) == 0)
            record->socket_type = (uint8_t)report_learn_type(call->fd);
        /* A socket made here has no peer but by connect, which was noted; and by MSG_FASTOPEN, or another preload's
         * connect, which were not. */
        bool unseen = connection_type(word) == 0 || (bits & CONNECTION_CONNECTED) != 0;
        query_endpoints(call->fd, !noted && unseen, &endpoints);
        endpoints_set(call->fd, record->connection, &endpoints);
    } else if ((word & CONNECTION_LOCAL_OWED) == 0) {
        return; /* accept or connect has told it */
    }
    if ((endpoints.known & RECVSHIM_RESULT_LOCAL) != 0) {
        memcpy(record->local_address, endpoints.local_address, sizeof record->local_address);
        record->family = endpoints.peer.family;
        record->result_flags |= RECVSHIM_RESULT_LOCAL;
    }
}

/* Bytes that the program asked for. Where the kernel has not come as far as the vector of a readv or recvmsg, nor is it
 * looked at here. */
static inline uint64_t requested(const struct call *call, int error)
{
    if (call->length != CALL_WHOLE)
        return call->length;
    bool refused = error == EBADF || error == ENOTSOCK || error == EFAULT || error == EINVAL || error == EMSGSIZE;
    return refused ? 0 : buffers_size(call);
}

/* Whose data it is: as the call says, else as the connection has it. */
static void describe_ends(const struct call *call, const struct outcome *outcome, struct recvshim_record *record)
{
    endpoints_describe(call->fd, record);
    socklen_t size = outcome_address_size(call, outcome);
    if (size != 0 && address_take(call->address, size, &record->peer))
        record->result_flags |= RECVSHIM_RESULT_PEER;
}

/* What is known of an end besides errno: TCP's own word, and what the program has done to its side. */
__attribute__((cold, noinline)) static void describe_end(int fd, struct recvshim_record *record)
{
    uint64_t word = connection_word(fd);
    if (connection_id(word) != record->connection)
        return; /* the number is another connection's by now, which is not the one to ask about */
    record->result_flags |= connection_flags(word);
    bool inet = record->family == AF_INET || record->family == AF_INET6 || connection_is_inet(word);
    struct recvshim_tcp tcp;
    if (inet && record->socket_type == SOCK_STREAM && query_allowed() && query_tcp(fd, &tcp)) {
        record->result_flags = (uint16_t)((record->result_flags & ~RECVSHIM_RESULT_LOCAL) | RECVSHIM_RESULT_TCP);
        memset(record->local_address, 0, sizeof record->local_address);
        record->tcp = tcp;
    }
    if (cause_of(record) == CAUSE_LOCAL_SHUTDOWN && record->connection != 0)
        connection_mark_all(fd, record->connection, CONNECTION_PROGRAM_FIRST, 0);
}

/* Once for each connection: a program may read the end again and again, or the 0 after a reset. A descriptor that is
 * another connection's by now says nothing of that. An injected error ends nothing: the real end is still to come. */
static bool is_news(int fd, uint64_t connection, uint16_t injected)
{
    return connection == 0 || (injected & 1U << RECVSHIM_ACTION_ERROR) != 0 ||
           (connection_mark_all(fd, connection, CONNECTION_ENDED, 0) & CONNECTION_ENDED) == 0;
}

/* A retried receive that its deadline ended is EAGAIN to the program, and to a person the end of an interruption. */
static bool is_wanted(enum recvshim_event event, uint32_t retries)
{
    return recorder_wants(event) ||
           (event == RECVSHIM_EVENT_WOULD_BLOCK && retries != 0 && recorder_wants(RECVSHIM_EVENT_INTERRUPTED));
}

/* What every record of a receive has. `which`: an enum recvshim_call. */
static inline void describe_call(struct recvshim_record *record, enum recvshim_event event, uint8_t which, int fd,
                                 int flags)
{
    *record = recorder_blank;
    record->time = clock_now();
    record->fd = fd;
    record->flags = (uint32_t)flags;
    record->event = (uint8_t)event;
    record->call = which;
}

/* May change errno. Out of line: what it needs on the stack is no matter of the calls that are not recorded. But all
 * that it calls is made part of it, which takes 5 of 55 ns (measured above a layer without a system call). */
__attribute__((noinline, flatten)) void report_receive(const struct call *call, const struct outcome *outcome)
{
    int type;
    enum recvshim_event event = event_of(call, outcome, &type);
    if (!is_wanted(event, outcome->retries))
        return;
    uint64_t connection = identify(call->fd, outcome->word);
    if (event == RECVSHIM_EVENT_DISCONNECT && !is_news(call->fd, connection, outcome->injected))
        return;
    struct recvshim_record record;
    describe_call(&record, event, call->which, call->fd, call->flags);
    record.connection = connection;
    record.result = outcome->result;
    record.requested = requested(call, outcome->result < 0 ? outcome->error : 0);
    record.error = (uint16_t)(outcome->result < 0 ? outcome->error : 0);
    record.retries = outcome->retries;
    record.result_flags = outcome->normalised ? RECVSHIM_RESULT_NORMALISED : 0;
    record.injected = outcome->injected;
    record.socket_type = (uint8_t)type;
    if (receive_settings.duration && outcome->entry != 0) {
        record.duration = record.time - outcome->entry + outcome->delayed;
        record.result_flags |= RECVSHIM_RESULT_DURATION;
    }
    if ((outcome->word & (CONNECTION_RECEIVED | CONNECTION_LOCAL_OWED)) != CONNECTION_RECEIVED)
        meet(call, outcome, &record);
    describe_ends(call, outcome, &record);
    if (event == RECVSHIM_EVENT_DISCONNECT)
        describe_end(call->fd, &record);
    if (__builtin_expect(outcome->retries != 0 || event == RECVSHIM_EVENT_INTERRUPTED, 0) && !is_made_up(outcome))
        explain(call, outcome, &record);
    recorder_store(&record);
}

void report_plain(enum recvshim_call which, int fd, int flags, size_t length, uint64_t word, ssize_t result)
{
    if (!recorder_wants(RECVSHIM_EVENT_RECEIVE))
        return;
    struct recvshim_record record;
    describe_call(&record, RECVSHIM_EVENT_RECEIVE, (uint8_t)which, fd, flags);
    record.connection = connection_id(word);
    record.result = result;
    record.requested = length;
    record.socket_type = (uint8_t)connection_type(word);
    endpoints_describe(fd, &record);
    recorder_store(&record);
}

/* Stored at once: the receive may never return because of it. */
void report_fault(const struct call *call, const struct fault *fault)
{
    if (!recorder_tracing() || !recorder_wants(RECVSHIM_EVENT_FAULT))
        return;
    uint64_t word = connection_word(call->fd);
    struct recvshim_record record;
    describe_call(&record, RECVSHIM_EVENT_FAULT, call->which, call->fd, call->flags);
    record.connection = connection_id(word);
    record.result = (int64_t)fault->value;
    record.requested = requested(call, 0);
    record.error = (uint16_t)(fault->action == RECVSHIM_ACTION_ERROR ? fault->value : 0);
    record.socket_type = (uint8_t)connection_type(word);
    endpoints_describe(call->fd, &record);
    if (fault->source != NULL) {
        record.peer = *fault->source;
        record.result_flags |= RECVSHIM_RESULT_PEER;
    }
    record.rule = fault->rule;
    record.ordinal = fault->ordinal;
    record.injected = (uint16_t)(1U << fault->action);
    record.injection.origin = fault->origin;
    record.injection.draw = fault->draw;
    recorder_store(&record);
}
