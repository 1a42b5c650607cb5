#include "cause.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>

#define CAUSE_NAME(id, name, meaning)    [CAUSE_##id] = (name),
#define CAUSE_MEANING(id, name, meaning) [CAUSE_##id] = (meaning),
const char *const cause_names[CAUSES] = {CAUSE_TABLE(CAUSE_NAME)};
const char *const cause_meanings[CAUSES] = {CAUSE_TABLE(CAUSE_MEANING)};

/* Whether the peer has said that it sends no more. The states in which it has not are those before its FIN. */
static bool peer_is_done(const struct recvshim_tcp *tcp)
{
    return tcp->state != TCP_ESTABLISHED && tcp->state != TCP_FIN_WAIT1 && tcp->state != TCP_FIN_WAIT2;
}

static enum cause cause_of_zero(const struct recvshim_record *record)
{
    if ((record->injected & 1U << RECVSHIM_ACTION_EOF) != 0)
        return CAUSE_EOF; /* as the program has it, whatever TCP knows */
    if ((record->result_flags & RECVSHIM_RESULT_TCP) != 0)
        return peer_is_done(&record->tcp) ? CAUSE_EOF : CAUSE_LOCAL_SHUTDOWN;
    if ((record->result_flags & RECVSHIM_RESULT_SHUT_READ) != 0)
        return CAUSE_LOCAL_SHUTDOWN;
    return record->socket_type != 0 ? CAUSE_EOF : CAUSE_UNKNOWN;
}

enum cause cause_of(const struct recvshim_record *record)
{
    if (record->result == 0)
        return cause_of_zero(record);
    switch (record->error) {
    case ECONNRESET:
        return CAUSE_RESET;
    case ETIMEDOUT:
        return CAUSE_TIMEOUT;
    case ECONNABORTED:
        return CAUSE_ABORTED;
    case EHOSTUNREACH:
    case ENETUNREACH:
        return CAUSE_UNREACHABLE;
    default:
        return CAUSE_UNKNOWN;
    }
}

enum first first_of(const struct recvshim_record *record)
{
    uint16_t flags = record->result_flags;
    bool stream = record->socket_type == SOCK_STREAM || record->socket_type == SOCK_SEQPACKET;
    if (!stream || (flags & RECVSHIM_RESULT_CONNECTED) == 0)
        return FIRST_UNKNOWN;
    if ((flags & RECVSHIM_RESULT_PROGRAM_FIRST) != 0)
        return FIRST_PROGRAM;
    if (record->event == RECVSHIM_EVENT_DISCONNECT)
        return cause_of(record) == CAUSE_LOCAL_SHUTDOWN ? FIRST_PROGRAM : FIRST_PEER;
    /* What the program did not look at before it closed, TCP may still have known. */
    bool ended =
        (flags & RECVSHIM_RESULT_PEER_ENDED) != 0 || ((flags & RECVSHIM_RESULT_TCP) != 0 && peer_is_done(&record->tcp));
    return ended ? FIRST_PEER : FIRST_PROGRAM;
}

uint64_t size_of_receive(const struct recvshim_record *record)
{
    if (record->result < 0)
        return 0;
    uint64_t result = (uint64_t)record->result;
    return result < record->requested ? result : record->requested;
}
