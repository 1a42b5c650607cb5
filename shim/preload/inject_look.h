/* What has to be known of a receive before it is made, for rules that look at its type, at its peer, or at whether
 * anything is there. */
#ifndef INJECT_LOOK_H
#define INJECT_LOOK_H

#include "fault_match.h"
#include "outcome.h"

/* The socket's type, as SOCK_STREAM, asked for where it is not known; 0 where it cannot be told. May change errno. */
int inject_type(const struct call *call);

/* Whether there can be a look, of that form (an enum recvshim_call), at what is there before the call: a filter of
 * seccomp that lets the call itself pass may expect no other. */
bool inject_may_look(const struct call *call, uint8_t form);

/* Wait as the call would, and look at what comes: `call` with a buffer of our own, and whose time has begun. */
void inject_look(const struct call *call, struct outcome *outcome);

/* Make the receive itself. Where some of its time has been spent waiting for a look, the rest of it is left. */
void inject_obtain(const struct call *call, struct outcome *outcome);

/* Who its data is from: the connection's peer or, of a datagram, who sent the one that is next. Returns false where the
 * wait for that failed, and so the call has. */
bool inject_find_peer(const struct call *call, struct outcome *outcome, struct fault_facts *facts);

#endif
