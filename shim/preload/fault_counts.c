#include "fault_counts.h"

#include "origin.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

/* Written once, by the constructor; private memory, of which a page is touched for each two dozen connections. */
HOT struct fault_connection *fault_connections;
static struct recvshim_rule_counters *shared_counters;

static struct {
    _Atomic uint64_t calls, taken;
} own[RECVSHIM_MAX_RULES];

/* A child of fork counts from 1, as strace counts for each tracee. One of a raw clone goes on. */
static void forget_own(void)
{
    for (size_t i = 0; i < RECVSHIM_MAX_RULES; i++) {
        atomic_store_explicit(&own[i].calls, 0, memory_order_relaxed);
        atomic_store_explicit(&own[i].taken, 0, memory_order_relaxed);
    }
}

bool fault_counts_start(struct recvshim_rule_counters *shared)
{
    shared_counters = shared;
    void *map = mmap(NULL, ORIGIN_PLACES * sizeof(struct fault_connection), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return false;
    fault_connections = map;
    pthread_atfork(NULL, NULL, forget_own);
    return true;
}

struct fault_pair fault_counts_of(const struct recvshim_rule *rule, uint32_t index, struct fault_connection *connection,
                                  uint32_t tag, uint32_t generation)
{
    if (rule->per == RECVSHIM_PER_CONNECTION) {
        if (rule->counter >= RECVSHIM_CONNECTION_COUNTERS)
            return (struct fault_pair){NULL, NULL, 0};
        return (struct fault_pair){&connection->calls[rule->counter], &connection->taken[rule->counter], tag};
    }
    /* Without a trace there is no other process to count with. */
    if (rule->per == RECVSHIM_PER_TRACE && shared_counters != NULL)
        return (struct fault_pair){&shared_counters[index].calls, &shared_counters[index].taken, generation};
    return (struct fault_pair){&own[index].calls, &own[index].taken, generation};
}

uint64_t fault_count(_Atomic uint64_t *word, uint32_t tag, uint64_t more, uint64_t limit)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed), count;
    do {
        count = recvshim_counted(old, tag);
        if (count >= limit)
            return 0;
        count = more < limit - count ? count + more : limit;
    } while (!atomic_compare_exchange_weak_explicit(word, &old, recvshim_count_word(tag, count), memory_order_relaxed,
                                                    memory_order_relaxed));
    return count;
}

void fault_uncount(_Atomic uint64_t *word, uint32_t tag)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed), count;
    do {
        count = recvshim_counted(old, tag);
        if (count == 0)
            return;
    } while (!atomic_compare_exchange_weak_explicit(word, &old, recvshim_count_word(tag, count - 1),
                                                    memory_order_relaxed, memory_order_relaxed));
}

void fault_counts_injected(uint32_t index, uint32_t generation)
{
    if (shared_counters != NULL)
        fault_count(&shared_counters[index].injected, generation, 1, RECVSHIM_COUNT_MAX);
}
