#include "repair.h"

#include "identity.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

bool repair_possible(const struct trace *trace)
{
    static const uint8_t unknown[sizeof trace->header.boot_id];
    uint8_t boot_id[sizeof trace->header.boot_id] = {0};
    identity_boot(boot_id);
    return memcmp(boot_id, unknown, sizeof boot_id) != 0 &&
           memcmp(boot_id, trace->header.boot_id, sizeof boot_id) == 0 && trace->header.pid_namespace != 0 &&
           trace->header.pid_namespace == identity_pid_namespace() &&
           atomic_load_explicit(&trace->counters->foreign, memory_order_relaxed) == 0;
}

bool repair_slot(struct recvshim_slot *slot)
{
    uint64_t word = atomic_load_explicit(&slot->state, memory_order_relaxed);
    if (recvshim_state_of(word) != RECVSHIM_STATE_BUSY)
        return false;
    /* EPERM: it lives. A tid in use again: the slot stays as it is, which loses a slot and harms nothing. So does a tid
     * of 0, which no writer has: it stands for this process's own group. */
    if (kill((pid_t)recvshim_tid_of(word), 0) == 0 || errno != ESRCH)
        return false;
    uint64_t abandoned = (word & ~UINT64_C(3)) | RECVSHIM_STATE_ABANDONED;
    /* All that the dead have stored comes before this: a thread's end passes full barriers of the kernel before its id
     * is no more. Release: and it comes before what the next owner, who acquires this, will store. */
    return atomic_compare_exchange_strong_explicit(&slot->state, &word, abandoned, memory_order_release,
                                                   memory_order_relaxed);
}

size_t repair(const struct reader *reader)
{
    const struct trace *trace = reader->trace;
    size_t marked = 0;
    if ((trace->access != TRACE_REPAIR && trace->access != TRACE_CONTROL) || !repair_possible(trace))
        return 0;
    for (uint32_t i = 0; i < trace->header.shards; i++)
        for (size_t j = 0; j < reader->shards[i].aside_count; j++)
            marked += repair_slot(reader_slot(trace, i, reader->shards[i].aside[j].position));
    return marked;
}
