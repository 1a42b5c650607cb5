#include "trace/cause.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

Test(cause, follows_from_result_and_errno)
{
    static const struct {
        int64_t result;
        uint16_t error;
        const char *name;
    } rows[] = {
        {0, 0, "unknown"},
        {-1, ECONNRESET, "reset"},
        {-1, ETIMEDOUT, "timeout"},
        {-1, ECONNABORTED, "aborted"},
        {-1, EHOSTUNREACH, "unreachable"},
        {-1, ENETUNREACH, "unreachable"},
        {-1, EIO, "unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.result = rows[i].result, .error = rows[i].error};
        cr_assert_str_eq(cause_names[cause_of(&record)], rows[i].name);
    }
}

/* TCP knows better, but not the program. */
Test(cause, of_an_injected_end_is_what_the_program_saw)
{
    struct recvshim_record record = {.socket_type = SOCK_STREAM,
                                     .result_flags = RECVSHIM_RESULT_TCP | RECVSHIM_RESULT_CONNECTED,
                                     .injected = 1U << RECVSHIM_ACTION_EOF,
                                     .event = RECVSHIM_EVENT_DISCONNECT};
    record.tcp.state = TCP_ESTABLISHED;
    cr_expect_eq(cause_of(&record), CAUSE_EOF);
    cr_expect_eq(first_of(&record), FIRST_PEER);
}

/* SEMANTICS.md: a 0 is the peer's word only once TCP has its FIN. */
Test(cause, of_a_zero_follows_from_what_is_known_of_the_socket)
{
    enum { TCP = RECVSHIM_RESULT_TCP, SHUT = RECVSHIM_RESULT_SHUT_READ };
    static const struct {
        uint16_t flags;
        uint8_t type, state;
        enum cause cause;
    } rows[] = {
        {0, SOCK_STREAM, 0, CAUSE_EOF},
        {0, SOCK_SEQPACKET, 0, CAUSE_EOF},
        {0, 0, 0, CAUSE_UNKNOWN},
        {SHUT, SOCK_STREAM, 0, CAUSE_LOCAL_SHUTDOWN},
        {TCP, SOCK_STREAM, TCP_CLOSE_WAIT, CAUSE_EOF},
        {TCP | SHUT, SOCK_STREAM, TCP_CLOSE_WAIT, CAUSE_EOF},
        {TCP, SOCK_STREAM, TCP_ESTABLISHED, CAUSE_LOCAL_SHUTDOWN},
        {TCP, SOCK_STREAM, TCP_FIN_WAIT1, CAUSE_LOCAL_SHUTDOWN},
        {TCP, SOCK_STREAM, TCP_FIN_WAIT2, CAUSE_LOCAL_SHUTDOWN},
        {TCP, SOCK_STREAM, TCP_LAST_ACK, CAUSE_EOF},
        {TCP, SOCK_STREAM, TCP_CLOSING, CAUSE_EOF},
        {TCP, SOCK_STREAM, TCP_CLOSE, CAUSE_EOF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.event = RECVSHIM_EVENT_DISCONNECT,
                                         .result_flags = rows[i].flags,
                                         .socket_type = rows[i].type,
                                         .tcp = {.state = rows[i].state}};
        cr_expect_eq(cause_of(&record), rows[i].cause, "row %zu", i);
    }
}

Test(cause, who_was_first)
{
    enum {
        TCP = RECVSHIM_RESULT_TCP,
        CONNECTED = RECVSHIM_RESULT_CONNECTED,
        PROGRAM = RECVSHIM_RESULT_PROGRAM_FIRST,
        SEEN = RECVSHIM_RESULT_PEER_ENDED,
        CLOSE = RECVSHIM_EVENT_CLOSE,
        END = RECVSHIM_EVENT_DISCONNECT,
    };
    static const struct {
        uint16_t flags;
        uint8_t event, type, state;
        enum first first;
    } rows[] = {
        {CONNECTED, END, SOCK_STREAM, 0, FIRST_PEER},
        {CONNECTED | PROGRAM, END, SOCK_STREAM, 0, FIRST_PROGRAM},
        {CONNECTED | TCP, END, SOCK_STREAM, TCP_ESTABLISHED, FIRST_PROGRAM},
        {CONNECTED, CLOSE, SOCK_STREAM, 0, FIRST_PROGRAM},
        {CONNECTED | SEEN, CLOSE, SOCK_STREAM, 0, FIRST_PEER},
        {CONNECTED | SEEN | PROGRAM, CLOSE, SOCK_STREAM, 0, FIRST_PROGRAM},
        {CONNECTED | TCP, CLOSE, SOCK_STREAM, TCP_ESTABLISHED, FIRST_PROGRAM},
        {CONNECTED | TCP, CLOSE, SOCK_STREAM, TCP_CLOSE_WAIT, FIRST_PEER},
        {CONNECTED | TCP, CLOSE, SOCK_STREAM, TCP_CLOSE, FIRST_PEER},
        {CONNECTED | SEEN, CLOSE, SOCK_SEQPACKET, 0, FIRST_PEER},
        {CONNECTED, CLOSE, SOCK_DGRAM, 0, FIRST_UNKNOWN},
        {0, CLOSE, SOCK_STREAM, 0, FIRST_UNKNOWN},
        {CONNECTED, CLOSE, 0, 0, FIRST_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.event = rows[i].event,
                                         .result_flags = rows[i].flags,
                                         .socket_type = rows[i].type,
                                         .tcp = {.state = rows[i].state}};
        cr_expect_eq(first_of(&record), rows[i].first, "row %zu", i);
    }
}

Test(cause, size_is_what_fitted)
{
    static const struct {
        int64_t result;
        uint64_t requested, size;
    } rows[] = {{10, 100, 10}, {100, 10, 10}, {0, 10, 0}, {-1, 10, 0}, {INT64_MAX, UINT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.result = rows[i].result, .requested = rows[i].requested};
        cr_assert_eq(size_of_receive(&record), rows[i].size);
    }
}
