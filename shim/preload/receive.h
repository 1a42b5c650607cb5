/* One receive, from the program's call to its return. */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "call.h"
#include "connection.h"
#include "outcome.h"
#include "settings.h"

#include <sys/types.h>

/* Set once, by the constructor; the defaults hold for calls before it. */
extern struct settings receive_settings;

static inline bool receive_is_handled(enum recvshim_call which)
{
    return (receive_settings.calls >> which & 1U) != 0;
}

/* Make the call, with all that the settings ask for. Returns and sets errno as the call does. */
ssize_t receive(const struct call *call);

/* Whether a read or readv is to be passed on: it is not handled, or the descriptor is known to be no socket. For most
 * programs nearly all are. */
static inline bool receive_passes_on(enum recvshim_call which, int fd)
{
    return !receive_is_handled(which) || connection_type(connection_word(fd)) == CONNECTION_NONE;
}

/* The same as receive() for a read or readv that may be one of a socket. */
ssize_t receive_from_any(const struct call *call);

/* The same for recvmmsg: returns the number of messages. */
int receive_messages(const struct call *call);

/* A receive that was begun in plain.h. */
struct receive_begun {
    ssize_t result;
    uint64_t word;
    uint64_t handled; /* handled_now() */
    int entry_error;  /* errno */
    socklen_t room;   /* as outcome.h has it */
    bool traced;
};

/* Conclude it. */
ssize_t receive_concluded(const struct call *call, const struct receive_begun *begun);

/* ---- for inject.c and its parts, and report.c ---- */

/* Make the call, and go on with it where it is interrupted and the policy says so. */
void receive_obtain(const struct call *call, struct outcome *outcome);

/* The same for a call that has waited before, and taken something that is not to be returned: an SO_RCVTIMEO is kept as
 * a deadline, counted from outcome->entry. */
void receive_go_on(const struct call *call, struct outcome *outcome);

/* The word of a descriptor that has no id yet: given one now, because afterwards the number may be another's. */
uint64_t receive_identified(int fd, uint64_t word);

#endif
