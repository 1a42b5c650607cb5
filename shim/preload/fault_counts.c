#include "fault_counts.h"

#include "hot.h"
#include "origin.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

/* Written once, by the constructor; private memory, of which a page is touched for each dozen of connections. */
HOT static struct fault_connection *connections;
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
    connections = map;
    pthread_atfork(NULL, NULL, forget_own);
    return true;
}

#define BEING_SET_UP UINT64_MAX

/* Cold: once a connection and generation. */
__attribute__((cold, noinline)) static bool set_up(struct fault_connection *connection, uint64_t key)
{
    if (atomic_exchange_explicit(&connection->key, BEING_SET_UP, memory_order_acquire) == BEING_SET_UP)
        return false;
    atomic_store_explicit(&connection->receives, 0, memory_order_relaxed);
    atomic_store_explicit(&connection->received, 0, memory_order_relaxed);
    atomic_store_explicit(&connection->ended, 0, memory_order_relaxed);
    for (size_t i = 0; i < RECVSHIM_CONNECTION_COUNTERS; i++) {
        atomic_store_explicit(&connection->calls[i], 0, memory_order_relaxed);
        atomic_store_explicit(&connection->taken[i], 0, memory_order_relaxed);
    }
    /* Release: who sees the key sees the zeros. */
    atomic_store_explicit(&connection->key, key, memory_order_release);
    return true;
}

struct fault_connection *fault_counts_connection(uint32_t place, uint64_t id, uint32_t generation)
{
    if (connections == NULL)
        return NULL;
    struct fault_connection *connection = &connections[place];
    /* Not BEING_SET_UP: one chance in 2^64 is as good as none. 0 is what memory begins with, all of it. */
    uint64_t key = id + generation * UINT64_C(0x9e3779b97f4a7c15);
    bool known = atomic_load_explicit(&connection->key, memory_order_acquire) == key;
    return __builtin_expect(known, 1) || set_up(connection, key) ? connection : NULL;
}

struct fault_pair fault_counts_of(const struct recvshim_rule *rule, uint32_t index, struct fault_connection *connection)
{
    if (rule->per == RECVSHIM_PER_CONNECTION) {
        if (rule->counter >= RECVSHIM_CONNECTION_COUNTERS)
            return (struct fault_pair){NULL, NULL};
        return (struct fault_pair){&connection->calls[rule->counter], &connection->taken[rule->counter]};
    }
    /* Without a trace there is no other process to count with. */
    if (rule->per == RECVSHIM_PER_TRACE && shared_counters != NULL)
        return (struct fault_pair){&shared_counters[index].calls, &shared_counters[index].taken};
    return (struct fault_pair){&own[index].calls, &own[index].taken};
}

uint64_t fault_counted(const _Atomic uint64_t *word, uint32_t generation)
{
    return recvshim_counted(atomic_load_explicit(word, memory_order_relaxed), generation);
}

/* The new count; 0 where the limit had been reached. A count of another generation is as good as none: which of the two
 * is the younger shows when the call looks at its rules again, for the next. */
static uint64_t count_to(_Atomic uint64_t *word, uint32_t generation, uint64_t limit)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed), count;
    do {
        count = recvshim_counted(old, generation);
        if (count >= limit)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(word, &old, recvshim_count_word(generation, count + 1),
                                                    memory_order_relaxed, memory_order_relaxed));
    return count + 1;
}

uint64_t fault_count(_Atomic uint64_t *word, uint32_t generation)
{
    uint64_t count = count_to(word, generation, RECVSHIM_COUNT_MAX);
    return count != 0 ? count : RECVSHIM_COUNT_MAX;
}

bool fault_count_up_to(_Atomic uint64_t *word, uint32_t generation, uint64_t limit)
{
    return count_to(word, generation, limit) != 0;
}

void fault_counts_injected(uint32_t index, uint32_t generation)
{
    if (shared_counters != NULL)
        fault_count(&shared_counters[index].injected, generation);
}
