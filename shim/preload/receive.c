#include "receive.h"

#include "classify.h"
#include "connection.h"
#include "next.h"
#include "recorder.h"
#include "retry.h"
#include "scope.h"
#include "thread.h"

#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

struct settings receive_settings = SETTINGS_DEFAULT;

/* What became of a call. */
struct outcome {
    ssize_t result;
    int error;        /* errno, where result is -1 */
    uint32_t retries; /* interruptions absorbed */
    uint64_t entry;   /* when it began; 0 where that was not needed */
    uint64_t word;  /* the descriptor's when it began: while a call blocks, another thread may close the descriptor, and
                     * get its number for another connection */
    socklen_t room; /* of the address buffer, as the program gave it; 0 where it wants no address */
    bool normalised; /* the scope id was changed */
};

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

/* Straight from the bytes of an address, which may be unaligned: a copy of the whole would be stored in two pieces, and
 * a field across them waits for both. */
#define copy_field(target, bytes, type, field)                                                                         \
    memcpy((target), (bytes) + offsetof(type, field), sizeof(((type *)NULL)->field))

static void describe_peer(const struct call *call, const struct outcome *outcome, struct recvshim_record *record)
{
    socklen_t size = address_size(call, outcome);
    const char *bytes = (const char *)call->address;
    sa_family_t family;
    in_port_t port = 0;
    if (size < sizeof family)
        return;
    memcpy(&family, bytes, sizeof family);
    if (family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        copy_field(record->address, bytes, struct sockaddr_in, sin_addr);
        copy_field(&port, bytes, struct sockaddr_in, sin_port);
    } else if (family == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
        copy_field(record->address, bytes, struct sockaddr_in6, sin6_addr);
        copy_field(&port, bytes, struct sockaddr_in6, sin6_port);
        if (size >= sizeof(struct sockaddr_in6)) /* RFC 2133's is shorter */
            copy_field(&record->scope, bytes, struct sockaddr_in6, sin6_scope_id);
    } else if (family == AF_UNIX) {
        /* A path may or may not be terminated; an abstract name begins with a zero byte and ends with the length. */
        const char *path = bytes + offsetof(struct sockaddr_un, sun_path);
        size_t length = size - offsetof(struct sockaddr_un, sun_path);
        if (length > 0 && path[0] != '\0')
            length = strnlen(path, length);
        uint32_t name = length > 0 ? recorder_name(path, length) : 0;
        memcpy(record->address, &name, sizeof name);
    } else {
        return;
    }
    record->family = family;
    record->port = ntohs(port);
    record->result_flags |= RECVSHIM_RESULT_PEER;
}

/* Past libc: its poll is a cancellation point. */
static bool hung_up(int fd)
{
    struct pollfd socket = {.fd = fd, .events = POLLRDHUP};
    struct timespec at_once = {0};
    return syscall(SYS_ppoll, &socket, 1, &at_once, NULL, 0) == 1 && (socket.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* *type is the socket's, as far as it is known. */
static enum recvshim_event event_of(const struct call *call, const struct outcome *outcome, int *type)
{
    *type = connection_noted_type(outcome->word);
    if (outcome->result > 0)
        return RECVSHIM_EVENT_RECEIVE; /* as nearly always: not worth the calls */
    if (classify_needs_type(call, outcome->result, outcome->error))
        *type = connection_type(call->fd, outcome->word);
    bool over = *type == SOCK_SEQPACKET && outcome->result == 0 && hung_up(call->fd);
    return classify(call, outcome->result, outcome->error, *type, over);
}

static uint64_t identify(int fd, uint64_t word)
{
    uint64_t id = word >> CONNECTION_ID_SHIFT;
    if (id == 0)
        id = connection_id(fd);
    return id != 0 ? id : connection_identify(fd, recorder_new_connection());
}

/* May change errno. Out of line: what it needs on the stack is no matter of the calls that are not recorded. */
__attribute__((noinline)) static void record(const struct call *call, const struct outcome *outcome)
{
    int type;
    enum recvshim_event event = event_of(call, outcome, &type);
    if (!recorder_wants(event))
        return;
    uint64_t connection = identify(call->fd, outcome->word);
    /* Once for each connection: a program may read the end again and again, or the 0 after a reset. */
    if (event == RECVSHIM_EVENT_DISCONNECT && !connection_ended(call->fd, connection))
        return;
    struct recvshim_record record = {
        .time = clock_now(),
        .connection = connection,
        .result = outcome->result,
        .requested = call->length,
        .fd = call->fd,
        .flags = (uint32_t)call->flags,
        .error = (uint16_t)(outcome->result < 0 ? outcome->error : 0),
        .event = (uint8_t)event,
        .call = (uint8_t)call->which,
        .retries = outcome->retries,
        .result_flags = outcome->normalised ? RECVSHIM_RESULT_NORMALISED : 0,
        /* These too by name: where one is left out GCC clears the whole record first, and with `rep stos`. */
        .duration = 0,
        .pid = 0,
        .tid = 0,
        .family = 0,
        .port = 0,
        .scope = 0,
        .address = {0},
        .local_port = 0,
        .injected = 0,
        .socket_type = (uint8_t)type,
        .reserved = 0,
        .local_address = {0},
    };
    if (receive_settings.duration && outcome->entry != 0) {
        record.duration = record.time - outcome->entry;
        record.result_flags |= RECVSHIM_RESULT_DURATION;
    }
    describe_peer(call, outcome, &record);
    recorder_store(&record);
}

/* Whether SO_RCVTIMEO has to be kept as a deadline, should the call be interrupted. */
static bool has_deadline(const struct call *call, uint64_t word)
{
    return receive_settings.eintr != EINTR_NEVER && (call->flags & MSG_DONTWAIT) == 0 &&
           (word & CONNECTION_NO_TIMEOUT) == 0;
}

/* The call failed with EINTR. Out of line, as it is rare. */
__attribute__((cold, noinline)) static void absorb(const struct call *call, struct outcome *outcome)
{
    outcome->word = connection_word(call->fd); /* the handler may have made another socket of it */
    struct retried retried = retry(call, connection_may_time_out, outcome->entry, outcome->room);
    outcome->result = retried.result;
    outcome->retries = retried.retries;
}

ssize_t receive(const struct call *call)
{
    const struct settings *settings = &receive_settings;
    if ((settings->calls >> call->which & 1U) == 0)
        return next_receive(call, 0, call->flags);

    /* On success errno is what it was at entry, whatever was done in between. */
    int *const error = thread_get()->error;
    const int entry_error = *error;
    struct outcome outcome = {.word = connection_word(call->fd)};
    if (has_deadline(call, outcome.word) || (settings->duration && recorder_tracing()))
        outcome.entry = clock_now();
    if (call->address != NULL && call->address_length != NULL)
        outcome.room = *call->address_length;

    outcome.result = next_receive(call, 0, call->flags);
    if (outcome.result >= 0 && outcome.room == 0 && !recorder_tracing())
        return outcome.result; /* nothing to do, and errno as it was */
    if (__builtin_expect(outcome.result < 0, 0)) {
        if (*error == EINTR && settings->eintr != EINTR_NEVER)
            absorb(call, &outcome);
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
