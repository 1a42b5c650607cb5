/* What a record keeps of a socket address. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "recvshim/trace.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Take it from the first `size` bytes of a sockaddr, which may be unaligned and of any family. Returns false where it
 * is of none that records keep, or cut too short; *address is unchanged then. A path is interned in the trace. */
bool address_take(const struct sockaddr *bytes, socklen_t size, struct recvshim_address *address);

#endif
