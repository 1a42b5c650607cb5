#include "endpoints.h"

#include "connection.h"
#include "hot.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (sizeof(struct endpoints) / sizeof(uint64_t))
_Static_assert(sizeof(struct endpoints) == 48, "whole words");

/* A line of the cache each. The id says whose they are, and that they are whole. */
struct entry {
    alignas(64) _Atomic uint64_t id;
    _Atomic uint64_t words[WORDS];
};
#define BEING_WRITTEN UINT64_MAX

/* Written once, by the constructor, of private memory: a child of fork has its own. Acquire and release, for a thread
 * that another library's constructor started. */
HOT static _Atomic(struct entry *) table;

void endpoints_start(void)
{
    void *map = mmap(NULL, CONNECTION_DESCRIPTORS * sizeof(struct entry), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED)
        atomic_store_explicit(&table, map, memory_order_release);
}

bool endpoints_kept(void)
{
    return atomic_load_explicit(&table, memory_order_acquire) != NULL;
}

static struct entry *entry_of(int fd)
{
    struct entry *entries = atomic_load_explicit(&table, memory_order_acquire);
    return entries != NULL && (unsigned int)fd < CONNECTION_DESCRIPTORS ? &entries[fd] : NULL;
}

/* Copy the first words of an entry, if it is that connection's. */
static inline bool copy(const struct entry *entry, uint64_t id, uint64_t words[], size_t count)
{
    /* Acquire: with the id come the words that were stored before it. */
    if (entry == NULL || id == 0 || atomic_load_explicit(&entry->id, memory_order_acquire) != id)
        return false;
#pragma GCC unroll 6 /* GCC takes each atomic for a call, and would keep the loop */
    for (size_t i = 0; i < count; i++)
        words[i] = atomic_load_explicit(&entry->words[i], memory_order_relaxed);
    /* If any of these is another connection's, the id is another by now: this fence meets the writer's. */
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->id, memory_order_relaxed) == id;
}

bool endpoints_describe(int fd, struct recvshim_record *record)
{
    uint64_t words[4];
    if (!copy(entry_of(fd), record->connection, words, 4))
        return false;
    struct {
        uint16_t local_port, known;
        uint32_t reserved;
    } last;
    memcpy(&last, &words[3], sizeof last);
    memcpy(&record->peer, words, sizeof record->peer);
    record->local_port = last.local_port;
    record->result_flags |= last.known & RECVSHIM_RESULT_PEER;
    return true;
}

bool endpoints_get(int fd, uint64_t id, struct endpoints *endpoints)
{
    uint64_t words[WORDS];
    if (!copy(entry_of(fd), id, words, WORDS))
        return false;
    memcpy(endpoints, words, sizeof *endpoints);
    return true;
}

/* Whoever finds the entry being written gives up: a handler would wait for the thread it interrupted. Connections lose
 * no more by it than the mention of their ends. */
void endpoints_set(int fd, uint64_t id, const struct endpoints *endpoints)
{
    struct entry *entry = entry_of(fd);
    if (entry == NULL || id == 0 ||
        atomic_exchange_explicit(&entry->id, BEING_WRITTEN, memory_order_acquire) == BEING_WRITTEN)
        return;
    uint64_t words[WORDS];
    memcpy(words, endpoints, sizeof words);
    /* Who sees any of the words below sees that the id was taken away. */
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&entry->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&entry->id, id, memory_order_release);
}
