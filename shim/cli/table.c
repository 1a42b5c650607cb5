#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define SLOTS_LOG2_MIN 6
#define ITEMS_MAX      ((size_t)1 << 31)
#define CACHE_LINE     ((size_t)64)
#define HUGE_PAGE      ((size_t)2 << 20) /* bytes */

void table_init(struct table *table, size_t size, size_t max)
{
    *table = (struct table){.size = size, .max = max < ITEMS_MAX ? max : ITEMS_MAX};
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != (ssize_t)sizeof table->seed)
        table->seed = (uint64_t)time(NULL);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->chunk_count; i++)
        free(table->chunks[i]);
    free(table->chunks);
    free(table->slots);
    table->chunks = NULL;
    table->slots = NULL;
    table->count = table->chunk_count = table->chunk_room = 0;
}

uint64_t table_hash(const struct table *table, const struct table_key *key)
{
    uint64_t hash = table->seed;
    for (size_t i = 0; i < sizeof key->words / sizeof key->words[0]; i++) {
        hash = (hash ^ key->words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

/* What a slot keeps of a hash: its upper half, the top of which is also its place. So slots move to a larger table in
 * their order, and no item is looked at. */
static uint32_t mark_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static size_t first_slot(const struct table *table, uint64_t hash)
{
    return (size_t)(hash >> (64 - table->slots_log2));
}

/* The slot that leads to the key's item, or the free one where it would be entered. */
static inline struct table_slot *slot_of(const struct table *table, const struct table_key *key, uint64_t hash)
{
    size_t mask = ((size_t)1 << table->slots_log2) - 1;
    for (size_t at = first_slot(table, hash);; at = (at + 1) & mask) {
        struct table_slot *slot = &table->slots[at];
        if (slot->number == 0 ||
            (slot->mark == mark_of(hash) && memcmp(table_at(table, slot->number - 1), key, sizeof *key) == 0))
            return slot;
    }
}

void *table_find(const struct table *table, const struct table_key *key)
{
    if (table->count == 0)
        return NULL;
    uint32_t number = slot_of(table, key, table_hash(table, key))->number;
    return number != 0 ? table_at(table, number - 1) : NULL;
}

void table_prefetch_slot(const struct table *table, uint64_t hash)
{
    if (table->count != 0)
        __builtin_prefetch(&table->slots[first_slot(table, hash)]);
}

void table_prefetch_item(const struct table *table, uint64_t hash)
{
    if (table->count == 0)
        return;
    const struct table_slot *slot = &table->slots[first_slot(table, hash)];
    if (slot->number == 0)
        return;
    if (slot->mark != mark_of(hash)) /* the next one, then: more are seldom tried */
        slot = slot + 1 < table->slots + ((size_t)1 << table->slots_log2) && slot[1].number != 0 ? slot + 1 : slot;
    const char *item = table_at(table, slot->number - 1);
    __builtin_prefetch(item, 1);
    __builtin_prefetch(item + CACHE_LINE, 1);
}

/* Memory that is looked at all over: with pages of 4 KiB, each look would cost another one at the page table. */
static void *allocate(size_t size)
{
    if (size < HUGE_PAGE)
        return malloc(size);
    size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    void *memory = aligned_alloc(HUGE_PAGE, size);
    if (memory != NULL)
        madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

/* Twice the slots: half of them are free always. */
static bool grow_slots(struct table *table)
{
    unsigned int log2 = table->slots == NULL ? SLOTS_LOG2_MIN : table->slots_log2 + 1;
    size_t size = sizeof(struct table_slot) << log2;
    struct table_slot *slots = allocate(size);
    if (slots == NULL)
        return false;
    memset(slots, 0, size);
    size_t before = table->slots == NULL ? 0 : (size_t)1 << table->slots_log2;
    struct table_slot *old = table->slots;
    table->slots = slots;
    table->slots_log2 = log2;
    size_t mask = ((size_t)1 << log2) - 1;
    for (size_t i = 0; i < before; i++) {
        if (old[i].number == 0)
            continue;
        size_t at = old[i].mark >> (32 - log2);
        while (slots[at].number != 0)
            at = (at + 1) & mask;
        slots[at] = old[i];
    }
    free(old);
    return true;
}

static bool add_chunk(struct table *table)
{
    if (table->chunk_count == table->chunk_room) {
        size_t room = table->chunk_room == 0 ? 16 : table->chunk_room * 2;
        char **chunks = reallocarray(table->chunks, room, sizeof *chunks);
        if (chunks == NULL)
            return false;
        table->chunks = chunks;
        table->chunk_room = room;
    }
    size_t size = table->size << TABLE_CHUNK_LOG2;
    /* The first one may be all that there is, and hold next to nothing. */
    char *chunk = table->chunk_count == 0 ? aligned_alloc(CACHE_LINE, size) : allocate(size);
    if (chunk == NULL)
        return false;
    table->chunks[table->chunk_count++] = chunk;
    return true;
}

void *table_add(struct table *table, const struct table_key *key)
{
    return table_add_hashed(table, key, table_hash(table, key));
}

void *table_add_hashed(struct table *table, const struct table_key *key, uint64_t hash)
{
    if (table->slots != NULL) {
        uint32_t number = slot_of(table, key, hash)->number;
        if (number != 0)
            return table_at(table, number - 1);
    }
    if (table->count == table->max)
        return NULL;
    if ((table->count == table->chunk_count << TABLE_CHUNK_LOG2 && !add_chunk(table)) ||
        ((table->slots == NULL || table->count >= (size_t)1 << (table->slots_log2 - 1)) && !grow_slots(table))) {
        table->out_of_memory = true;
        return NULL;
    }
    void *item = table_at(table, table->count);
    memset(item, 0, table->size);
    memcpy(item, key, sizeof *key);
    *slot_of(table, key, hash) = (struct table_slot){(uint32_t)++table->count, mark_of(hash)};
    return item;
}

/* A heap whose root is the last of the chosen. */
struct heap {
    const void **items;
    size_t count;
    table_before *before;
    const void *context;
};

static void sink(const struct heap *heap, size_t at)
{
    for (;;) {
        size_t last = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->count; child++)
            if (heap->before(heap->context, heap->items[last], heap->items[child]))
                last = child;
        if (last == at)
            return;
        const void *swap = heap->items[at];
        heap->items[at] = heap->items[last];
        heap->items[last] = swap;
        at = last;
    }
}

/* Of two that are not the same one. */
static int by_order(const void *left_item, const void *right_item, void *context)
{
    const struct heap *heap = context;
    const void *const *left = left_item, *const *right = right_item;
    return heap->before(heap->context, *left, *right) ? -1 : 1;
}

size_t table_choose(const struct table *table, table_before *before, const void *context, const void **chosen,
                    size_t room)
{
    struct heap heap = {chosen, room < table->count ? room : table->count, before, context};
    size_t count = heap.count;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        chosen[i] = table_at(table, i);
    for (size_t i = count / 2; i > 0 && count < table->count; i--)
        sink(&heap, i - 1);
    for (size_t i = count; i < table->count; i++) {
        if (before(context, table_at(table, i), chosen[0])) {
            chosen[0] = table_at(table, i);
            sink(&heap, 0);
        }
    }
    /* The C library's merge sort: with a million items in no cache, a heap that is emptied looks at each far more
     * often.
     */
    qsort_r(chosen, count, sizeof *chosen, by_order, &heap);
    return count;
}
