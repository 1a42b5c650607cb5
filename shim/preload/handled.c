#include "handled.h"

#include "trace/signal_names.h"

/* The thread's own, and changed by handlers that interrupt each other anywhere: atomic so that an addition is one
 * instruction and a store is whole. Relaxed, because a handler runs in its thread, which sees its own stores in order.
 *
 * A moment that is stored late, over a younger one, does no harm: both are younger than any receive that was under way
 * when the outer handler began, and a receive that began within it is over by the time it goes on. */
static _Thread_local struct {
    _Atomic uint64_t passing;            /* when the last that passes began */
    _Atomic uint64_t interrupting;       /* when the last without SA_RESTART began */
    _Atomic uint64_t latest[SIGNAL_MAX]; /* when the last one for signal N + 1 began */
} moments;

void handled_begins(int signal, bool restarts, bool passes)
{
    uint64_t moment = atomic_fetch_add_explicit(&thread_self.handled, 1, memory_order_relaxed) + 1;
    if (signal_bit(signal) != 0)
        atomic_store_explicit(&moments.latest[signal - 1], moment, memory_order_relaxed);
    if (!restarts)
        atomic_store_explicit(&moments.interrupting, moment, memory_order_relaxed);
    if (passes)
        atomic_store_explicit(&moments.passing, moment, memory_order_relaxed);
}

bool handled_passing(uint64_t since)
{
    return atomic_load_explicit(&moments.passing, memory_order_relaxed) > since;
}

bool handled_interrupting(uint64_t since)
{
    return atomic_load_explicit(&moments.interrupting, memory_order_relaxed) > since;
}

uint64_t handled_signals(uint64_t since)
{
    uint64_t set = 0;
    if (handled_now() != since)
        for (int signal = 1; signal <= SIGNAL_MAX; signal++)
            if (atomic_load_explicit(&moments.latest[signal - 1], memory_order_relaxed) > since)
                set |= signal_bit(signal);
    return set;
}
