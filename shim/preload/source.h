/* A receive that is to tell who sent its data, though the program did not ask: an address buffer of our own is lent to
 * it. */
#ifndef SOURCE_H
#define SOURCE_H

#include "call.h"

#include <sys/un.h>

struct source {
    struct sockaddr_un longest;
    socklen_t length;
    struct msghdr message;
};
#define SOURCE_ROOM sizeof(struct sockaddr_un)

/* Whether a call that has no address of its own, and is no recvmmsg, does the same with one. */
bool source_can_be_lent(const struct call *call);

/* The same call with one: *with and *source have to last as long as it does. */
void source_lend(const struct call *call, struct source *source, struct call *with);

/* The call has been made: what the kernel told the program's own message besides. */
void source_return(const struct call *call, const struct source *source);

#endif
