#include "receive.h"

#include "address.h"
#include "buffers.h"
#include "connection.h"
#include "fault.h"
#include "handled.h"
#include "handlers.h"
#include "hot.h"
#include "inject.h"
#include "next.h"
#include "query.h"
#include "recorder.h"
#include "report.h"
#include "retry.h"
#include "returns.h"
#include "scope.h"
#include "source.h"
#include "thread.h"
#include "vfork.h"

#include "trace/calls.h"
#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

HOT struct settings receive_settings = SETTINGS_DEFAULT;

/* A child of vfork may have anything under its parent's numbers: nothing is known to it, and it notes nothing. */
static inline uint64_t word_of(int fd)
{
    if (__builtin_expect(thread_self.vfork_depth != 0, 0) && vfork_in_child())
        return 0;
    return connection_word(fd);
}

/* The same of a descriptor that has no id yet: given one now, because afterwards the number may be another's. */
__attribute__((cold, noinline)) uint64_t receive_identified(int fd, uint64_t word)
{
    if (fd < 0 || fd >= CONNECTION_DESCRIPTORS || vfork_in_child())
        return word;
    return word | connection_identify(fd, recorder_new_connection()) << CONNECTION_ID_SHIFT;
}

/* The program's buffer may be unaligned and is not ours: look at copies, write back what changed. */
static bool normalise(const struct call *call, const struct outcome *outcome)
{
    if (outcome_address_size(call, outcome) < sizeof(struct sockaddr_in6))
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
    if (receive_settings.eintr == EINTR_NEVER)
        return true;
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

static struct retry_terms terms_of(const struct outcome *outcome)
{
    return (struct retry_terms){.may_time_out = connection_may_time_out,
                                .moment = handled_now,
                                .passes = handled_passing,
                                .unexplained = unexplained,
                                .begun = outcome->handled,
                                .entry = outcome->entry,
                                .room = outcome->room,
                                .interruptions = outcome->interruptions,
                                .waited = outcome->waited,
                                .may_ask = !query_filtered()};
}

static void take_retried(struct outcome *outcome, const struct retried *retried)
{
    outcome->result = retried->result;
    outcome->retries += retried->retries;
    outcome->passed = retried->passed;
    outcome->timed = retried->timed;
}

/* Whether what was noted is of a socket that is gone, closed in a way that is not interposed (freopen, a raw system
 * call): a read or readv is of what has its number now, and nobody's to retry. */
__attribute__((cold, noinline)) static bool is_stale(const struct call *call)
{
    if ((CALLS_ON_FILES >> call->which & 1U) == 0 || query_filtered())
        return false;
    int *const error = thread_get()->error;
    const int own_error = *error;
    int domain;
    bool stale = query_type(call->fd, &domain) == 0 && *error == ENOTSOCK;
    if (stale)
        connection_forget(call->fd);
    *error = own_error;
    return stale;
}

/* It failed with EINTR, and nothing is retried. */
__attribute__((cold, noinline)) static void leave_to_program(const struct call *call, struct outcome *outcome)
{
    outcome->passed = true;
    outcome->timed = connection_may_time_out(call->fd);
}

/* The call failed with EINTR. Out of line, as it is rare. */
__attribute__((cold, noinline)) static void absorb(const struct call *call, struct outcome *outcome)
{
    if (is_stale(call)) {
        leave_to_program(call, outcome);
        return;
    }
    outcome->word = word_of(call->fd); /* the handler may have made another socket of it */
    if (connection_id(outcome->word) == 0 && recorder_tracing())
        outcome->word = receive_identified(call->fd, outcome->word);
    const struct retry_terms terms = terms_of(outcome);
    bool made_up = outcome->interruptions != 0;
    if (receive_settings.eintr == EINTR_ALWAYS && recorder_tracing() && !handled_passing(outcome->handled) && !made_up)
        outcome->overruled = tell_overruled();
    struct retried retried = retry(call, &terms);
    if (outcome->overruled)
        recorder_overruled_ended(); /* not where it is left by cancellation: a cleanup would take libgcc's unwinder */
    take_retried(outcome, &retried);
}

/* Let the outcome of an attempt be the call's: retry it, or leave it to the program. */
static inline void settle(const struct call *call, struct outcome *outcome, const int *error)
{
    if (__builtin_expect(outcome->result >= 0, 1))
        return;
    if (*error == EINTR && receive_settings.eintr != EINTR_NEVER)
        absorb(call, outcome);
    else if (*error == EINTR)
        leave_to_program(call, outcome);
    outcome->error = *error;
}

static inline void begin(const struct call *call, struct outcome *outcome)
{
    if (has_deadline(call, outcome->word) || (receive_settings.duration && recorder_tracing()))
        outcome->entry = clock_now();
    if (call->address != NULL && call_may_follow(call->address_length))
        outcome->room = *call->address_length;
}

/* From here on nothing may be a cancellation point: the data has been taken. */
static inline ssize_t finish(const struct call *call, struct outcome *outcome, int *error, int entry_error)
{
    if (outcome->room != 0 && outcome->result >= 0)
        outcome->normalised = normalise(call, outcome);
    if (recorder_tracing())
        report_receive(call, outcome);
    *error = outcome->result < 0 ? outcome->error : entry_error;
    return outcome->result;
}

void receive_obtain(const struct call *call, struct outcome *outcome)
{
    int *const error = thread_get()->error;
    if (outcome->interruptions != 0) {
        outcome->result = -1;
        *error = EINTR;
    } else {
        outcome->result = next_receive(call, 0, call->flags);
    }
    settle(call, outcome, error);
}

void receive_go_on(const struct call *call, struct outcome *outcome)
{
    const struct retry_terms terms = terms_of(outcome);
    struct retried retried = retry_within_deadline(call, &terms);
    take_retried(outcome, &retried);
    if (!retried.timed)
        settle(call, outcome, thread_get()->error);
    else if (outcome->result < 0)
        outcome->error = *thread_get()->error;
}

/* The same as receive_at(), with what the rules in force do to it. */
RETURNS_AFTER_SYSTEM_CALL __attribute__((noinline)) static ssize_t receive_under_rules(const struct call *call,
                                                                                       uint64_t word)
{
    int *const error = thread_get()->error;
    const int entry_error = *error;
    if (connection_id(word) == 0)
        word = receive_identified(call->fd, word);
    struct outcome outcome = {.word = word, .handled = handled_now()};
    begin(call, &outcome);
    inject(call, &outcome);
    return finish(call, &outcome, error, entry_error);
}

RETURNS_AFTER_SYSTEM_CALL static ssize_t receive_at(const struct call *call, uint64_t word)
{
    if (__builtin_expect(fault_possible(), 0) && !fault_passes_over(call, word))
        return receive_under_rules(call, word);
    /* On success errno is what it was at entry, whatever was done in between. */
    int *const error = thread_get()->error;
    const int entry_error = *error;
    struct outcome outcome = {.word = word, .handled = handled_now()};
    begin(call, &outcome);
    outcome.result = next_receive(call, 0, call->flags);
    if (outcome.result >= 0 && outcome.room == 0 && !recorder_tracing())
        return outcome.result; /* nothing to do, and errno as it was */
    settle(call, &outcome, error);
    return finish(call, &outcome, error, entry_error);
}

__attribute__((noinline)) ssize_t receive_concluded(const struct call *call, const struct receive_begun *begun)
{
    int *const error = thread_get()->error;
    struct outcome outcome = {
        .result = begun->result, .word = begun->word, .handled = begun->handled, .room = begun->room};
    settle(call, &outcome, error);
    return finish(call, &outcome, error, begun->entry_error);
}

/* A read of nothing is no receive to the kernel. */
static bool is_no_receive(const struct call *call)
{
    return (CALLS_ON_FILES >> call->form & 1U) != 0 && buffers_size(call) == 0;
}

/* A datagram's source costs no call of its own. A connected socket's is known; one from the error queue would be the
 * destination. */
static bool wants_source(const struct call *call, uint64_t word)
{
    return connection_type(word) == SOCK_DGRAM && (word & CONNECTION_CONNECTED) == 0 && connection_domain(word) != 0 &&
           call->address == NULL && (call->flags & MSG_ERRQUEUE) == 0 && recorder_tracing() &&
           source_can_be_lent(call) && !is_no_receive(call);
}

RETURNS_AFTER_SYSTEM_CALL __attribute__((noinline)) static ssize_t receive_with_source(const struct call *call,
                                                                                       uint64_t word)
{
    struct source source;
    struct call with_source;
    source_lend(call, &source, &with_source);
    ssize_t result = receive_at(&with_source, word);
    if (result >= 0)
        source_return(call, &source);
    return result;
}

static inline uint64_t identified_word(int fd)
{
    uint64_t word = word_of(fd);
    if (__builtin_expect(connection_id(word) == 0 && recorder_tracing(), 0))
        word = receive_identified(fd, word);
    return word;
}

RETURNS_AFTER_SYSTEM_CALL __attribute__((noinline)) ssize_t receive(const struct call *call)
{
    if (__builtin_expect(!receive_is_handled(call->which), 0))
        return next_receive(call, 0, call->flags);
    uint64_t word = identified_word(call->fd);
    if (__builtin_expect(wants_source(call, word), 0))
        return receive_with_source(call, word);
    return receive_at(call, word);
}

/* ---- read and readv, which may be made on anything ---- */

/* Of a descriptor that nothing is known of the kernel is asked once, if it may be. Beyond what is tracked, and in a
 * child of vfork, the answer cannot be noted: a file would pay for it with each read. */
__attribute__((cold, noinline)) static ssize_t receive_if_socket(const struct call *call)
{
    if (call->fd < 0 || call->fd >= CONNECTION_DESCRIPTORS || vfork_in_child() || !query_allowed())
        return next_receive(call, 0, call->flags);
    int *const error = thread_get()->error;
    const int entry_error = *error;
    int domain, type = query_type(call->fd, &domain);
    if (type == 0 && *error == ENOTSOCK) /* of what is not open nothing is known */
        connection_is_none(call->fd);
    *error = entry_error;
    if (type == 0)
        return next_receive(call, 0, call->flags);
    connection_learnt(call->fd, connection_id(receive_identified(call->fd, word_of(call->fd))), domain, type);
    return receive(call);
}

RETURNS_AFTER_SYSTEM_CALL __attribute__((noinline)) ssize_t receive_from_any(const struct call *call)
{
    if (receive_passes_on(call->which, call->fd))
        return next_receive(call, 0, call->flags);
    if (connection_type(word_of(call->fd)) == 0)
        return receive_if_socket(call);
    int *const error = thread_get()->error;
    const int entry_error = *error;
    ssize_t result = receive(call);
    if (result >= 0 || *error != ENOTSOCK || !is_stale(call))
        return result;
    *error = entry_error;
    return next_receive(call, 0, call->flags);
}

/* ---- recvmmsg ---- */

/* One of its messages as a receive of its own. */
static struct call message_of(const struct call *call, unsigned int index)
{
    struct msghdr *message = &call->messages->each[index].msg_hdr;
    struct call one = *call;
    one.form = RECVSHIM_CALL_RECVMSG;
    one.message = message;
    one.address = message->msg_name;
    one.address_length = &message->msg_namelen;
    return one;
}

/* Room for an address, in every message that has any: nearly always they have the same. 0 where nobody looks at them:
 * most may lie in no cache, and take longer than the call. */
static socklen_t least_room(const struct messages *messages, uint64_t word)
{
    const int domain = connection_domain(word);
    const bool may_be_normalised = receive_settings.scope != SCOPE_KEEP && (domain == 0 || domain == AF_INET6);
    if (!may_be_normalised && !recorder_tracing())
        return 0;
    socklen_t room = UINT32_MAX;
    for (unsigned int i = 0; i < messages->count && i < UIO_MAXIOV; i++)
        if (messages->each[i].msg_hdr.msg_name != NULL && messages->each[i].msg_hdr.msg_namelen < room)
            room = messages->each[i].msg_hdr.msg_namelen;
    return room;
}

/* Whether the kernel takes it for one. */
static bool is_timeout(const struct call *call)
{
    int64_t seconds, nanoseconds;
    if (call->messages->timeout == NULL)
        return true;
    if (!call_may_follow(call->messages->timeout))
        return false;
    messages_timeout_read(call->messages->timeout, call_has_time64(call), &seconds, &nanoseconds);
    return seconds >= 0 && nanoseconds >= 0 && (uint64_t)nanoseconds < NANOSECONDS_A_SECOND;
}

/* The kernel counts the timeout from the beginning of each attempt. */
static void keep_timeout(const struct call *call, uint64_t entry)
{
    int64_t seconds, nanoseconds;
    if (call->messages->timeout == NULL)
        return;
    messages_timeout_read(call->messages->timeout, call_has_time64(call), &seconds, &nanoseconds);
    if ((uint64_t)seconds < (UINT64_MAX - entry) / NANOSECONDS_A_SECOND - 1)
        call->messages->until = entry + (uint64_t)seconds * NANOSECONDS_A_SECOND + (uint64_t)nanoseconds;
}

/* As a rule has to do with it, every message has to be a receive of its own, which a filter of seccomp may not expect.
 * That only one comes is what programs have to expect: a signal may have come after it. */
static int receive_first(const struct call *call, uint64_t word)
{
    struct messages *messages = call->messages;
    struct call first = message_of(call, 0);
    first.flags &= ~MSG_WAITFORONE; /* means nothing here, and packet sockets refuse what they do not know */
    keep_timeout(call, clock_now());
    ssize_t result = receive_under_rules(&first, word);
    if (result < 0)
        return -1;
    messages->each[0].msg_len = (unsigned int)result;
    if (messages->until != 0)
        next_time_left(call, messages->timeout); /* as the kernel does */
    return 1;
}

static void finish_messages(const struct call *call, const struct outcome *all, socklen_t room, int *error)
{
    int entry_error = *error;
    for (int i = 0; i < all->result; i++) {
        struct call one = message_of(call, (unsigned int)i);
        struct outcome outcome = *all;
        outcome.retries = i == 0 ? all->retries : 0;
        outcome.room = one.address != NULL ? room : 0;
        outcome.result = (ssize_t)call->messages->each[i].msg_len;
        finish(&one, &outcome, error, entry_error);
    }
}

static int receive_all(const struct call *call, uint64_t word)
{
    const struct messages *messages = call->messages;
    int *const error = thread_get()->error;
    const int entry_error = *error;
    struct outcome outcome = {.word = word, .handled = handled_now()};
    begin(call, &outcome);
    if (messages->timeout != NULL && outcome.entry == 0)
        outcome.entry = clock_now();
    const socklen_t room = least_room(messages, word);
    outcome.result = next_receive(call, 0, call->flags);
    if (outcome.result < 0 && *error == EINTR)
        keep_timeout(call, outcome.entry); /* which the kernel has taken for one, or it would not have waited */
    settle(call, &outcome, error);
    if (outcome.result < 0) {
        struct call first = message_of(call, 0);
        return (int)finish(&first, &outcome, error, entry_error);
    }
    *error = entry_error;
    finish_messages(call, &outcome, room, error);
    return (int)outcome.result;
}

/* The rules in force have nothing to do with it, but count what its connection receives. */
__attribute__((noinline)) static int receive_all_counted(const struct call *call, uint64_t word)
{
    struct fault_plan plan;
    uint64_t bytes = 0;
    fault_begin(call, word, &plan);
    int result = receive_all(call, word);
    for (int i = 0; i < result; i++)
        bytes += call->messages->each[i].msg_len;
    if ((call->flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB)) == 0)
        fault_received(&plan, connection_word(call->fd), bytes);
    return result;
}

int receive_messages(const struct call *call)
{
    const struct messages *messages = call->messages;
    if (!receive_is_handled(call->which) || messages->count == 0 || !call_may_follow(messages->each))
        return (int)next_receive(call, 0, call->flags);
    uint64_t word = identified_word(call->fd);
    if (__builtin_expect(fault_possible(), 0) && !fault_passes_over(call, word) && !query_filtered() &&
        !vfork_in_child()) {
        if (!fault_concerns(call, word))
            return receive_all_counted(call, word);
        if (is_timeout(call))
            return receive_first(call, word);
    }
    return receive_all(call, word);
}
