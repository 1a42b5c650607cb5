#include "verdict.h"

#include "event.h"

#include <errno.h>

bool connect_failed(int error)
{
    /* EINTR: the connection is made nevertheless, in the background (connect(2)). */
    return error != 0 && error != EINPROGRESS && error != EALREADY && error != EISCONN && error != EINTR;
}

struct ending verdict_ending(const struct connection *connection, bool exited)
{
    unsigned int known = connection->known;
    bool received = (known & CONNECTION_RECEIVED) != 0;
    if ((known & CONNECTION_ENDED) != 0)
        return (struct ending){
            .end = END_DISCONNECT, .cause = connection->cause, .first = (enum first)connection->ended_first};
    if ((known & CONNECTION_CONNECT) != 0 && connect_failed(connection->connect_error) &&
        !(received && connection->received > connection->connected))
        return (struct ending){.end = END_CONNECT_FAILED, .error = connection->connect_error};
    /* One of several descriptors for it, or one of several processes, may be closed while another one receives. */
    if ((known & CONNECTION_CLOSED) != 0 && !(received && connection->received > connection->closed))
        return (struct ending){.end = END_CLOSED, .first = (enum first)connection->closed_first};
    return (struct ending){.end = exited ? END_EXIT : END_OPEN};
}

bool verdict_end_lost(const struct connection *connection, const struct reader_account *account, bool full)
{
    return (account->overwritten != 0 && connection->last < account->complete_since) || (full && account->dropped != 0);
}

const char *ending_name(const struct ending *ending)
{
    switch (ending->end) {
    case END_DISCONNECT:
        return cause_names[ending->cause];
    case END_CONNECT_FAILED:
        return error_name(ending->error);
    case END_CLOSED:
        return "closed";
    case END_EXIT:
        return "exit";
    case END_UNKNOWN:
        return "?";
    case END_OPEN:
        break;
    }
    return "open";
}

const char *first_name(enum first first)
{
    return first == FIRST_PEER ? "peer" : first == FIRST_PROGRAM ? "program" : NULL;
}

/* Whether nothing can have come after the last record that there is. */
static bool is_over(const struct connection *connection, bool childless)
{
    unsigned int known = connection->known;
    if ((known & CONNECTION_ENDED) != 0 &&
        (connection->cause == CAUSE_EOF || connection->cause == CAUSE_RESET || connection->cause == CAUSE_TIMEOUT))
        return true;
    return (known & CONNECTION_CLOSED) != 0 && connection->closed == connection->last && childless &&
           (known & CONNECTION_PROCESSES) == 0;
}

bool verdict_complete(const struct connection *connection, const struct reader_account *account, bool childless)
{
    if (account->overwritten + account->dropped + account->died == 0)
        return true;
    if (account->complete_since != 0 &&
        ((connection->known & CONNECTION_OPENED) == 0 || connection->opened < account->complete_since ||
         connection->opened > connection->first))
        return false;
    return account->gaps_since == UINT64_MAX ||
           (connection->last < account->gaps_since && is_over(connection, childless));
}
