/* What became of a receive, as receive.c makes it, inject.c changes it, and report.c records it. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "call.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What became of a call. */
struct outcome {
    ssize_t result;
    int error;        /* errno, where result is -1 */
    uint32_t retries; /* interruptions absorbed */
    uint64_t entry;   /* when it began; 0 where that was not needed */
    uint64_t handled; /* when it began, as handled.h counts */
    uint64_t word;  /* the descriptor's when it began: while a call blocks, another thread may close the descriptor, and
                     * get its number for another connection */
    socklen_t room; /* of the address buffer, as the program gave it; 0 where it wants no address */
    bool normalised; /* the scope id was changed */
    bool passed;     /* one more interruption was left to the program, by the policy */
    bool overruled;  /* the policy `intent` would have left it to the program, and the trace has been told */
    bool timed;      /* the socket had an SO_RCVTIMEO when it was interrupted, or may have had one */
    /* Of fault injection: */
    uint16_t injected;      /* what was done to it, a set of enum recvshim_action */
    bool waited;            /* it has waited for a datagram, to look at its source: its time has begun */
    uint32_t interruptions; /* attempts that are to fail with EINTR, below the retry */
    uint64_t delayed;       /* ns, by how much it began late */
};

/* Bytes of the address that the call wrote, or would have: never more than there is room for. */
static inline socklen_t outcome_address_size(const struct call *call, const struct outcome *outcome)
{
    if (outcome->room == 0 || outcome->result < 0)
        return 0;
    return *call->address_length < outcome->room ? *call->address_length : outcome->room;
}

#endif
