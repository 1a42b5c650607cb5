#include "lifecycle.h"

#include "address.h"
#include "connection.h"
#include "endpoints.h"
#include "query.h"
#include "receive.h"
#include "recorder.h"
#include "rights.h"
#include "thread.h"
#include "vfork.h"

#include "trace/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static uint64_t new_id(int fd)
{
    return fd < CONNECTION_DESCRIPTORS ? recorder_new_connection() : 0;
}

/* An event of a connection. */
static struct recvshim_record begin(enum recvshim_event event, int fd, uint64_t word)
{
    struct recvshim_record record = recorder_blank;
    record.time = clock_now();
    record.connection = connection_id(word);
    record.fd = fd;
    record.event = (uint8_t)event;
    record.socket_type = (uint8_t)connection_type(word);
    return record;
}

static void add_endpoints(struct recvshim_record *record, const struct endpoints *endpoints)
{
    record->peer = endpoints->peer;
    record->local_port = endpoints->local_port;
    record->result_flags |= endpoints->known & (RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_LOCAL);
    if ((endpoints->known & RECVSHIM_RESULT_LOCAL) != 0)
        memcpy(record->local_address, endpoints->local_address, sizeof record->local_address);
}

static void note_endpoints(int fd, uint64_t id, const void *endpoints)
{
    endpoints_set(fd, id, endpoints);
}

/* What connect does to a socket it does to its duplicates. */
static void note_all_endpoints(int fd, uint64_t id, const struct endpoints *endpoints)
{
    connection_for_copies(fd, id, note_endpoints, endpoints);
}

static struct endpoints known_endpoints(int fd, uint64_t word)
{
    struct endpoints endpoints;
    if (!endpoints_get(fd, connection_id(word), &endpoints))
        endpoints = (struct endpoints){0};
    return endpoints;
}

/* ---- made ---- */

void lifecycle_made(int fd, int domain, int type)
{
    if (!vfork_in_child())
        connection_made(fd, domain, type, new_id(fd), 0);
}

void lifecycle_paired(const int fds[2], int domain, int type)
{
    static const struct endpoints nameless = {.peer = {.family = AF_UNIX}, .known = RECVSHIM_RESULT_PEER};
    for (int i = 0; i < 2 && !vfork_in_child(); i++) {
        uint64_t id = new_id(fds[i]);
        connection_made(fds[i], domain, type, id, CONNECTION_CONNECTED);
        endpoints_set(fds[i], id, &nameless);
    }
}

void lifecycle_accepting(struct acceptance *acceptance, int listener, struct sockaddr *address, socklen_t *length)
{
    acceptance->address = address;
    acceptance->length = length;
    /* Looked at only where the address will be: the length, too, may lie where no memory is. */
    acceptance->room = address != NULL && endpoints_kept() && call_may_follow(length) ? *length : 0;
    if (address == NULL && recorder_tracing() && connection_domain(connection_word(listener)) != 0) {
        acceptance->own_length = sizeof acceptance->own;
        acceptance->address = &acceptance->own.any;
        acceptance->length = &acceptance->own_length;
        acceptance->room = acceptance->own_length;
    }
}

/* All that is accepted from a listener has its port; and its address, where that is not "any". The kernel is asked once
 * a listener. */
static void learn_listener(int listener, struct endpoints *endpoints)
{
    uint64_t word = connection_word(listener);
    /* Those with a peer are of a connect that failed before it listened. */
    if (endpoints_get(listener, connection_id(word), endpoints) && (endpoints->known & RECVSHIM_RESULT_PEER) == 0)
        return;
    *endpoints = (struct endpoints){0};
    if (!query_allowed())
        return;
    uint64_t id = connection_id(word) != 0 ? connection_id(word) : connection_identify(listener, new_id(listener));
    if (connection_type(word) == 0) {
        int domain, type = query_type(listener, &domain);
        connection_learnt(listener, id, domain, type);
    }
    query_endpoints(listener, false, endpoints);
    static const uint8_t any[16];
    if (endpoints->peer.family != AF_UNIX && memcmp(endpoints->local_address, any, sizeof any) == 0)
        endpoints->known = 0;
    endpoints_set(listener, id, endpoints);
}

/* All in one function, as report_receive() is. */
__attribute__((flatten)) static void report_accept(int fd, const struct endpoints *endpoints)
{
    struct recvshim_record record = begin(RECVSHIM_EVENT_ACCEPT, fd, connection_word(fd));
    record.result = fd;
    add_endpoints(&record, endpoints);
    recorder_store(&record);
}

static void note_accept(const struct acceptance *acceptance, int listener, int fd)
{
    struct endpoints endpoints = {0};
    learn_listener(listener, &endpoints);
    bool tracing = recorder_tracing(), told = tracing && recorder_wants(RECVSHIM_EVENT_ACCEPT);
    uint64_t id = new_id(fd);
    connection_accepted(listener, fd, id,
                        CONNECTION_CONNECTED | (tracing ? CONNECTION_APPEARED : 0U) |
                            (told ? 0U : CONNECTION_LOCAL_OWED));
    socklen_t size = acceptance->room;
    if (size != 0 && *acceptance->length < size)
        size = *acceptance->length;
    if (address_take(acceptance->address, size, &endpoints.peer))
        endpoints.known |= RECVSHIM_RESULT_PEER;
    endpoints_set(fd, id, &endpoints);
    if (told)
        report_accept(fd, &endpoints);
}

void lifecycle_accepted(const struct acceptance *acceptance, int listener, int fd)
{
    if (vfork_in_child())
        return;
    if (!endpoints_kept()) {
        connection_accepted(listener, fd, new_id(fd), CONNECTION_CONNECTED);
        return;
    }
    int *const error = thread_get()->error, before = *error;
    note_accept(acceptance, listener, fd);
    *error = before;
}

/* ---- connected ---- */

static uint64_t identified_word(int fd)
{
    uint64_t word = connection_word(fd);
    if (connection_id(word) != 0 || fd < 0 || fd >= CONNECTION_DESCRIPTORS)
        return word;
    connection_identify(fd, new_id(fd));
    return connection_word(fd);
}

struct connecting lifecycle_connecting(int fd)
{
    struct connecting before = {0};
    if (vfork_in_child() || !endpoints_kept())
        return before;
    before.word = identified_word(fd);
    before.entry = receive_settings.duration && recorder_tracing() ? clock_now() : 0;
    return before;
}

static void report_connect(int fd, uint64_t word, const struct endpoints *endpoints, int result, int error,
                           uint64_t entry)
{
    bool tracing = recorder_tracing(), told = tracing && recorder_wants(RECVSHIM_EVENT_CONNECT);
    connection_mark(fd, connection_id(word), (tracing ? CONNECTION_APPEARED : 0U) | (told ? 0U : CONNECTION_LOCAL_OWED),
                    0);
    if (!told)
        return;
    struct recvshim_record record = begin(RECVSHIM_EVENT_CONNECT, fd, word);
    record.result = result;
    record.error = (uint16_t)error;
    add_endpoints(&record, endpoints);
    if (entry != 0) {
        record.duration = record.time - entry;
        record.result_flags |= RECVSHIM_RESULT_DURATION;
    }
    recorder_store(&record);
}

__attribute__((noinline, flatten)) static void report_close(int fd, uint64_t word)
{
    struct recvshim_record record = begin(RECVSHIM_EVENT_CLOSE, fd, word);
    record.result_flags = connection_flags(word);
    endpoints_describe(fd, &record);
    /* The peer may be gone, and the program never have looked. Not worth asking where nothing was received. */
    if ((word & CONNECTION_RECEIVED) != 0 && (word & CONNECTION_ENDED) == 0 && connection_type(word) == SOCK_STREAM &&
        connection_is_inet(word) && query_allowed() && query_tcp(fd, &record.tcp))
        record.result_flags |= RECVSHIM_RESULT_TCP;
    recorder_store(&record);
}

/* The descriptor's connection, if it has one, is over for this process. */
static void end(int fd, uint64_t word)
{
    if ((word & CONNECTION_APPEARED) != 0 && recorder_tracing() && recorder_wants(RECVSHIM_EVENT_CLOSE))
        report_close(fd, word);
}

/* connect(2): AF_UNSPEC dissolves what there was. A stream is then as good as new. */
static void dissolve(int fd, uint64_t word)
{
    if (connection_is_stream(word)) {
        end(fd, word);
        connection_renewed(fd, new_id(fd));
    } else {
        connection_mark_all(fd, connection_id(word), 0, CONNECTION_CONNECTED);
        struct endpoints endpoints = known_endpoints(fd, word);
        endpoints.known &= (uint16_t)~RECVSHIM_RESULT_PEER;
        note_all_endpoints(fd, connection_id(word), &endpoints);
    }
}

static bool is_under_way(int error)
{
    return error == EINPROGRESS || error == EINTR;
}

static void note_connect(int fd, const struct sockaddr *address, socklen_t length, int result, int error,
                         struct connecting before)
{
    uint64_t word = before.word;
    struct recvshim_address peer = {0};
    sa_family_t family = AF_UNSPEC;
    /* Of these two the kernel has not read the address, which may not be there. */
    bool has_peer = (result == 0 || (error != EFAULT && error != EINVAL)) && address_take(address, length, &peer);
    if (result == 0 && length >= sizeof family)
        memcpy(&family, address, sizeof family);
    if (connection_id(connection_word(fd)) != connection_id(word)) {
        /* Of what it was nothing is left to note. */
        struct endpoints endpoints = {.peer = peer, .known = has_peer ? RECVSHIM_RESULT_PEER : 0};
        report_connect(fd, word, &endpoints, result, result == 0 ? 0 : error, before.entry);
        return;
    }
    if (result == 0 && family == AF_UNSPEC) {
        dissolve(fd, word);
        return;
    }
    bool asked_again = (word & CONNECTION_CONNECTING) != 0; /* to learn what became of the first */
    if (asked_again && result != 0 && error == EALREADY)
        return;
    if (asked_again && result != 0 && error == EISCONN)
        result = 0;
    if (result == 0)
        connection_mark_all(fd, connection_id(word), CONNECTION_CONNECTED, CONNECTION_CONNECTING);
    else if (is_under_way(error))
        connection_mark_all(fd, connection_id(word), CONNECTION_CONNECTING, 0);
    else
        connection_mark_all(fd, connection_id(word), 0, CONNECTION_CONNECTING);

    struct endpoints endpoints;
    if (!asked_again || !endpoints_get(fd, connection_id(word), &endpoints)) {
        endpoints = (struct endpoints){.peer = peer, .known = has_peer ? RECVSHIM_RESULT_PEER : 0};
        /* An address for our end was chosen by now. */
        if ((result == 0 || is_under_way(error)) && peer.family != AF_UNIX && query_allowed())
            query_endpoints(fd, false, &endpoints);
        if (result == 0 || is_under_way(error) || (word & CONNECTION_CONNECTED) == 0) /* else it has whom it had */
            note_all_endpoints(fd, connection_id(word), &endpoints);
    }
    report_connect(fd, word, &endpoints, result, result == 0 ? 0 : error, before.entry);
}

void lifecycle_connected(int fd, const struct sockaddr *address, socklen_t length, int result, struct connecting before)
{
    int *const error = thread_get()->error, own_error = *error;
    if (vfork_in_child() || !endpoints_kept() || (result != 0 && (own_error == EBADF || own_error == ENOTSOCK)))
        return;
    note_connect(fd, address, length, result, own_error, before);
    *error = own_error;
}

/* 0 may also mean that it is too early to tell. */
static bool still_connecting(int fd, uint64_t word)
{
    struct recvshim_tcp tcp;
    return connection_is_inet(word) && query_allowed() && query_tcp(fd, &tcp) && tcp.state == TCP_SYN_SENT;
}

void lifecycle_error_read(int fd, int error)
{
    uint64_t word = connection_word(fd);
    if ((word & CONNECTION_CONNECTING) == 0 || vfork_in_child())
        return;
    int *const own_error = thread_get()->error, before = *own_error;
    if (error != 0 || !still_connecting(fd, word)) {
        connection_mark_all(fd, connection_id(word), error == 0 ? CONNECTION_CONNECTED : 0U, CONNECTION_CONNECTING);
        struct endpoints endpoints = known_endpoints(fd, word);
        report_connect(fd, word, &endpoints, error == 0 ? 0 : -1, error, 0);
    }
    *own_error = before;
}

/* ---- duplicated, shut down ---- */

uint64_t lifecycle_word(int fd)
{
    return connection_word(fd);
}

void lifecycle_duplicated(int fd, int copy, uint64_t replaced)
{
    if (fd == copy || vfork_in_child())
        return;
    if (replaced != 0)
        end(copy, replaced & ~(uint64_t)CONNECTION_RECEIVED); /* the number is another's: too late to ask */
    connection_duplicated(fd, copy);
    struct endpoints endpoints;
    uint64_t id = connection_id(connection_word(copy));
    if (endpoints_get(fd, id, &endpoints))
        endpoints_set(copy, id, &endpoints);
}

uint64_t lifecycle_shutting_down(int fd, int how)
{
    uint64_t word = connection_word(fd), bits = 0;
    if (vfork_in_child() || connection_id(word) == 0)
        return word;
    if (how == SHUT_RD || how == SHUT_RDWR)
        bits |= CONNECTION_SHUT_READ;
    if ((how == SHUT_WR || how == SHUT_RDWR) && (word & CONNECTION_ENDED) == 0)
        bits |= CONNECTION_PROGRAM_FIRST;
    connection_mark_all(fd, connection_id(word), bits, 0);
    return word;
}

void lifecycle_shutdown_failed(int fd, uint64_t before)
{
    const uint64_t bits = CONNECTION_SHUT_READ | CONNECTION_PROGRAM_FIRST;
    if (!vfork_in_child())
        connection_mark(fd, connection_id(before), 0, bits & ~before);
}

/* ---- closed ---- */

static void close_one(int fd, uint64_t word)
{
    end(fd, word);
    connection_forget(fd);
}

void lifecycle_closing(int fd)
{
    uint64_t word = connection_word(fd);
    if (word == 0 || vfork_in_child())
        return;
    int *const error = thread_get()->error, before = *error;
    close_one(fd, word);
    *error = before;
}

void lifecycle_closing_range(unsigned int first, unsigned int last)
{
    if (vfork_in_child())
        return;
    int *const error = thread_get()->error, before = *error;
    connection_for_each(first, last, close_one);
    *error = before;
}

/* Also where they are put in place of a number that was closed in a way that is not interposed. */
void lifecycle_arrived(const struct msghdr *message)
{
    if (!vfork_in_child())
        rights_for_each(message, connection_forget);
}

void lifecycle_timeout_changed(int fd)
{
    uint64_t word = connection_word(fd);
    if (word != 0)
        connection_mark(fd, connection_id(word), 0, CONNECTION_NO_TIMEOUT);
}

/* ---- the process ---- */

void lifecycle_exiting(int status)
{
    if (vfork_in_child())
        return;
    int *const error = thread_get()->error, before = *error;
    recorder_exit(status);
    *error = before;
}
