/* The two ends of each descriptor's connection, so that every record can tell them without asking the kernel. Kept
 * only in a process that has a trace. */
#ifndef ENDPOINTS_H
#define ENDPOINTS_H

#include "recvshim/trace.h"

#include <stdbool.h>

struct endpoints {
    struct recvshim_address peer; /* with RECVSHIM_RESULT_PEER in `known`; with _LOCAL alone, its family */
    uint16_t local_port;          /* 0: not known */
    uint16_t known;
    uint32_t reserved;
    uint8_t local_address[16]; /* with RECVSHIM_RESULT_LOCAL: as the record's */
};

/* Make room for them. For the constructor; without memory none are kept. */
void endpoints_start(void);

/* Whether there is room for them. */
bool endpoints_kept(void);

/* Those of the connection with this id. Returns false where they were never noted, or are another connection's. */
bool endpoints_get(int fd, uint64_t id, struct endpoints *endpoints);

/* The same, of which a record of every receive is filled in: the local port, and the peer. */
bool endpoints_describe(int fd, struct recvshim_record *record);

void endpoints_set(int fd, uint64_t id, const struct endpoints *endpoints);

#endif
