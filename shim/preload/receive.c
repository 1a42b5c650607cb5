#include "receive.h"

#include "address.h"
#include "classify.h"
#include "connection.h"
#include "endpoints.h"
#include "handled.h"
#include "handlers.h"
#include "hot.h"
#include "next.h"
#include "query.h"
#include "recorder.h"
#include "retry.h"
#include "scope.h"
#include "thread.h"
#include "vfork.h"

#include "trace/cause.h"
#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

HOT struct settings receive_settings = SETTINGS_DEFAULT;

/* What became of a call. */
struct outcome {
    ssize_t result;
    int error;        /* errno, where result is -1 */
    uint32_t retries; /* interruptions absorbed */
    uint64_t entry;   /* when it began; 0 where that was not needed */
    uint64_t handled; /* when it began, as handled.h counts */
    uint64_t word;  /* the descriptor's when it began: while a call blocks, another thread may close the descriptor, and
                     * get its number for another connection */
    socklen_t room; /* of the address buffer, as the program gave it; 0 where it wants no address */
    bool normalised; /* the scope id was changed */
    bool passed;     /* one more interruption was left to the program, by the policy */
    bool overruled;  /* the policy `intent` would have left it to the program, and the trace has been told */
    bool timed;      /* the socket had an SO_RCVTIMEO when it was interrupted, or may have had one */
};

/* A child of vfork may have anything under its parent's numbers: nothing is known to it, and it notes nothing. */
static inline uint64_t word_of(int fd)
{
    if (__builtin_expect(vfork_nesting.depth != 0, 0) && vfork_in_child())
        return 0;
    return connection_word(fd);
}

/* The same of a descriptor that has no id yet: given one now, because afterwards the number may be another's. */
__attribute__((cold, noinline)) static uint64_t identified(int fd, uint64_t word)
{
    if (fd < 0 || fd >= CONNECTION_DESCRIPTORS || vfork_in_child())
        return word;
    return word | connection_identify(fd, recorder_new_connection()) << CONNECTION_ID_SHIFT;
}

/* Bytes of the address that the call wrote, or would have: never more than there is room for. */
static socklen_t address_size(const struct call *call, const struct outcome *outcome)
{
    if (outcome->room == 0 || outcome->result < 0)
        return 0;
    return *call->address_length < outcome->room ? *call->address_length : outcome->room;
}

/* The program's buffer may be unaligned and is not ours: look at copies, write back what changed. */
static bool normalise(const struct call *call, const struct outcome *outcome)
{
    if (address_size(call, outcome) < sizeof(struct sockaddr_in6))
        return false;
    sa_family_t family;
    uint32_t scope_id;
    memcpy(&family, call->address, sizeof family);
    memcpy(&scope_id, (const char *)call->address + offsetof(struct sockaddr_in6, sin6_scope_id), sizeof scope_id);
    if (family != AF_INET6 || !scope_may_change(receive_settings.scope, scope_id))
        return false;

    struct sockaddr_in6 address;
    memcpy(&address, call->address, sizeof address);
    if (!scope_normalise(receive_settings.scope, &address))
        return false;
    memcpy(call->address, &address, sizeof address);
    return true;
}

/* The type of a socket that this process did not make. */
__attribute__((cold, noinline)) static int learn_type(int fd)
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
        *type = learn_type(call->fd);
    bool over = *type == SOCK_SEQPACKET && outcome->result == 0 && query_allowed() && query_hung_up(call->fd);
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

static uint64_t identify(int fd, uint64_t word)
{
    if (connection_id(word) == 0) /* tracing began meanwhile, if it can have one */
        word = identified(fd, word);
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
            record->socket_type = (uint8_t)learn_type(call->fd);
        /* A socket made here has no peer but by connect, which was noted. */
        query_endpoints(call->fd, !noted && connection_type(word) == 0, &endpoints);
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

/* Whose data it is: as the call says, else as the connection has it. */
static void describe_ends(const struct call *call, const struct outcome *outcome, struct recvshim_record *record)
{
    endpoints_describe(call->fd, record);
    socklen_t size = address_size(call, outcome);
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
        connection_mark_all(fd, record->connection, CONNECTION_PROGRAM_FIRST);
}

/* Once for each connection: a program may read the end again and again, or the 0 after a reset. A descriptor that is
 * another connection's by now says nothing of that. */
static bool is_news(int fd, uint64_t connection)
{
    return connection == 0 || (connection_mark_all(fd, connection, CONNECTION_ENDED) & CONNECTION_ENDED) == 0;
}

/* A retried receive that its deadline ended is EAGAIN to the program, and to a person the end of an interruption. */
static bool is_wanted(enum recvshim_event event, uint32_t retries)
{
    return recorder_wants(event) ||
           (event == RECVSHIM_EVENT_WOULD_BLOCK && retries != 0 && recorder_wants(RECVSHIM_EVENT_INTERRUPTED));
}

/* May change errno. Out of line: what it needs on the stack is no matter of the calls that are not recorded. But all
 * that it calls is made part of it, which takes 5 of 55 ns (measured above a layer without a system call). */
__attribute__((noinline, flatten)) static void record(const struct call *call, const struct outcome *outcome)
{
    int type;
    enum recvshim_event event = event_of(call, outcome, &type);
    if (!is_wanted(event, outcome->retries))
        return;
    uint64_t connection = identify(call->fd, outcome->word);
    if (event == RECVSHIM_EVENT_DISCONNECT && !is_news(call->fd, connection))
        return;
    struct recvshim_record record = recorder_blank;
    record.time = clock_now();
    record.connection = connection;
    record.result = outcome->result;
    record.requested = call->length;
    record.fd = call->fd;
    record.flags = (uint32_t)call->flags;
    record.error = (uint16_t)(outcome->result < 0 ? outcome->error : 0);
    record.event = (uint8_t)event;
    record.call = (uint8_t)call->which;
    record.retries = outcome->retries;
    record.result_flags = outcome->normalised ? RECVSHIM_RESULT_NORMALISED : 0;
    record.socket_type = (uint8_t)type;
    if (receive_settings.duration && outcome->entry != 0) {
        record.duration = record.time - outcome->entry;
        record.result_flags |= RECVSHIM_RESULT_DURATION;
    }
    if ((outcome->word & (CONNECTION_RECEIVED | CONNECTION_LOCAL_OWED)) != CONNECTION_RECEIVED)
        meet(call, outcome, &record);
    describe_ends(call, outcome, &record);
    if (event == RECVSHIM_EVENT_DISCONNECT)
        describe_end(call->fd, &record);
    if (__builtin_expect(outcome->retries != 0 || event == RECVSHIM_EVENT_INTERRUPTED, 0))
        explain(call, outcome, &record);
    recorder_store(&record);
}

/* Whether SO_RCVTIMEO has to be kept as a deadline, should the call be interrupted. */
static bool has_deadline(const struct call *call, uint64_t word)
{
    return receive_settings.eintr != EINTR_NEVER && (call->flags & MSG_DONTWAIT) == 0 &&
           (word & CONNECTION_NO_TIMEOUT) == 0;
}

/* Whether an interruption by nothing that was seen is left to the program: of a socket without a time-out it is by a
 * handler without SA_RESTART that was installed past libc, and may be any signal's. With wrappers used up, so may each.
 */
static bool unexplained(uint64_t since, bool timed)
{
    bool watches = receive_settings.eintr == EINTR_INTENT || receive_settings.eintr == EINTR_RESTART;
    if (handlers_used_up() && handled_now() == since)
        return true;
    return watches && !timed && !handled_interrupting(since);
}

/* Tell that the receive goes on although the program may have meant to end it: a person who waits for that has to learn
 * it now. */
static bool tell_overruled(void)
{
    uint64_t intended;
    handlers_candidates(false, query_allowed(), &intended);
    if (intended != 0)
        recorder_overruled(intended);
    return intended != 0;
}

/* The call failed with EINTR. Out of line, as it is rare. */
__attribute__((cold, noinline)) static void absorb(const struct call *call, struct outcome *outcome)
{
    outcome->word = word_of(call->fd); /* the handler may have made another socket of it */
    if (connection_id(outcome->word) == 0 && recorder_tracing())
        outcome->word = identified(call->fd, outcome->word);
    const struct retry_terms terms = {.may_time_out = connection_may_time_out,
                                      .moment = handled_now,
                                      .passes = handled_passing,
                                      .unexplained = unexplained,
                                      .begun = outcome->handled,
                                      .entry = outcome->entry,
                                      .room = outcome->room,
                                      .may_ask = !query_filtered()};
    if (receive_settings.eintr == EINTR_ALWAYS && recorder_tracing() && !handled_passing(outcome->handled))
        outcome->overruled = tell_overruled();
    struct retried retried = retry(call, &terms);
    if (outcome->overruled)
        recorder_overruled_ended(); /* not where it is left by cancellation: a cleanup would take libgcc's unwinder */
    outcome->result = retried.result;
    outcome->retries = retried.retries;
    outcome->passed = retried.passed;
    outcome->timed = retried.timed;
}

/* It failed with EINTR, and nothing is retried. */
__attribute__((cold, noinline)) static void leave_to_program(const struct call *call, struct outcome *outcome)
{
    outcome->passed = true;
    outcome->timed = connection_may_time_out(call->fd);
}

static ssize_t receive_at(const struct call *call, uint64_t word)
{
    const struct settings *settings = &receive_settings;
    if ((settings->calls >> call->which & 1U) == 0)
        return next_receive(call, 0, call->flags);

    /* On success errno is what it was at entry, whatever was done in between. */
    int *const error = thread_get()->error;
    const int entry_error = *error;
    struct outcome outcome = {.word = word, .handled = handled_now()};
    if (has_deadline(call, outcome.word) || (settings->duration && recorder_tracing()))
        outcome.entry = clock_now();
    if (call->address != NULL && address_length_may_be_read(call->address_length))
        outcome.room = *call->address_length;

    outcome.result = next_receive(call, 0, call->flags);
    if (outcome.result >= 0 && outcome.room == 0 && !recorder_tracing())
        return outcome.result; /* nothing to do, and errno as it was */
    if (__builtin_expect(outcome.result < 0, 0)) {
        if (*error == EINTR && settings->eintr != EINTR_NEVER)
            absorb(call, &outcome);
        else if (*error == EINTR)
            leave_to_program(call, &outcome);
        outcome.error = *error;
    }

    /* From here on nothing may be a cancellation point: the data has been taken. */
    if (outcome.room != 0 && outcome.result >= 0)
        outcome.normalised = normalise(call, &outcome);
    if (recorder_tracing())
        record(call, &outcome);
    *error = outcome.result < 0 ? outcome.error : entry_error;
    return outcome.result;
}

/* A datagram's source costs no call of its own. A connected socket's is known; one from the error queue would be the
 * destination. */
static bool wants_source(const struct call *call, uint64_t word)
{
    return connection_type(word) == SOCK_DGRAM && (word & CONNECTION_CONNECTED) == 0 && connection_domain(word) != 0 &&
           call->which == RECVSHIM_CALL_RECV && (call->flags & MSG_ERRQUEUE) == 0 && recorder_tracing() &&
           next_recv_is_recvfrom();
}

__attribute__((noinline)) static ssize_t receive_with_source(const struct call *call, uint64_t word)
{
    struct sockaddr_un longest;
    socklen_t length = sizeof longest;
    struct call with_source = *call;
    with_source.address = (struct sockaddr *)&longest;
    with_source.address_length = &length;
    return receive_at(&with_source, word);
}

ssize_t receive(const struct call *call)
{
    uint64_t word = word_of(call->fd);
    if (__builtin_expect(connection_id(word) == 0 && recorder_tracing(), 0))
        word = identified(call->fd, word);
    if (__builtin_expect(wants_source(call, word), 0))
        return receive_with_source(call, word);
    return receive_at(call, word);
}
