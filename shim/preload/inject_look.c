#include "inject_look.h"

#include "address.h"
#include "connection.h"
#include "endpoints.h"
#include "kernel.h"
#include "query.h"
#include "receive.h"
#include "report.h"

#include "trace/clock.h"

#include <sys/socket.h>
#include <sys/un.h>

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

int inject_type(const struct call *call)
{
    int type = connection_type(connection_word(call->fd));
    return type != 0 ? type : report_learn_type(call->fd);
}

void inject_obtain(const struct call *call, struct outcome *outcome)
{
    if (outcome->waited && outcome->interruptions == 0)
        receive_go_on(call, outcome);
    else
        receive_obtain(call, outcome);
}

bool inject_may_look(const struct call *call, uint8_t form)
{
    const unsigned int either = 1U << RECVSHIM_CALL_RECV | 1U << RECVSHIM_CALL_RECVFROM;
    const unsigned int same = KERNEL_RECV_IS_RECVFROM ? either : 1U << form;
    return (same >> call->which & 1U) != 0 || !query_filtered();
}

void inject_look(const struct call *call, struct outcome *outcome)
{
    struct call peek = *call;
    peek.flags = (peek.flags | MSG_PEEK) & ~(MSG_TRUNC | MSG_WAITALL);
    if (outcome->entry == 0)
        outcome->entry = clock_now();
    receive_obtain(&peek, outcome);
    outcome->waited = true;
}

/* Wait for a datagram as the call would, and look who sent it. Returns false where that failed: so has the call then.
 */
__attribute__((noinline)) static bool look_at_source(const struct call *call, struct outcome *outcome,
                                                     struct fault_facts *facts)
{
    struct sockaddr_un longest;
    struct sockaddr *source = (struct sockaddr *)&longest;
    socklen_t length = sizeof longest, own_room = outcome->room;
    char nothing;
    outcome->room = sizeof longest;
    inject_look(&(struct call){.which = call->which,
                               .form = RECVSHIM_CALL_RECVFROM,
                               .fd = call->fd,
                               .flags = call->flags,
                               .buffer = &nothing,
                               .address = source,
                               .address_length = &length},
                outcome);
    outcome->room = own_room;
    facts->has_peer =
        outcome->result >= 0 && address_take(source, length < sizeof longest ? length : sizeof longest, &facts->peer);
    return outcome->result >= 0;
}

bool inject_find_peer(const struct call *call, struct outcome *outcome, struct fault_facts *facts)
{
    facts->has_peer = peer_of(call->fd, outcome->word, &facts->peer);
    if (facts->has_peer || (call->flags & (MSG_ERRQUEUE | MSG_OOB)) != 0 ||
        !inject_may_look(call, RECVSHIM_CALL_RECVFROM))
        return true;
    facts->type = inject_type(call);
    return facts->type != SOCK_DGRAM || look_at_source(call, outcome, facts);
}
