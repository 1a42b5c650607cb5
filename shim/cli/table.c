#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SLOTS_LOG2_MIN 6
#define ITEMS_MAX      ((size_t)1 << 31)

void table_init(struct table *table, size_t size, size_t max)
{
    *table = (struct table){.size = size, .max = max < ITEMS_MAX ? max : ITEMS_MAX};
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != (ssize_t)sizeof table->seed)
        table->seed = (uint64_t)time(NULL);
}

void table_free(struct table *table)
{
    free(table->items);
    free(table->slots);
    table->items = NULL;
    table->slots = NULL;
    table->count = table->room = 0;
}

static size_t first_slot(const struct table *table, const struct table_key *key)
{
    uint64_t hash = table->seed;
    for (size_t i = 0; i < sizeof key->words / sizeof key->words[0]; i++) {
        hash = (hash ^ key->words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (size_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - table->slots_log2));
}

/* The slot that leads to the key's item, or the free one where it would be entered. */
static uint32_t *slot_of(const struct table *table, const struct table_key *key)
{
    size_t mask = ((size_t)1 << table->slots_log2) - 1;
    for (size_t at = first_slot(table, key);; at = (at + 1) & mask) {
        uint32_t *slot = &table->slots[at];
        if (*slot == 0 || memcmp(table_at(table, *slot - 1), key, sizeof *key) == 0)
            return slot;
    }
}

void *table_find(const struct table *table, const struct table_key *key)
{
    if (table->count == 0)
        return NULL;
    uint32_t slot = *slot_of(table, key);
    return slot != 0 ? table_at(table, slot - 1) : NULL;
}

/* Twice the slots: half of them are free always. */
static bool grow_slots(struct table *table)
{
    unsigned int log2 = table->slots == NULL ? SLOTS_LOG2_MIN : table->slots_log2 + 1;
    uint32_t *slots = calloc((size_t)1 << log2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(table->slots);
    table->slots = slots;
    table->slots_log2 = log2;
    for (size_t i = 0; i < table->count; i++)
        *slot_of(table, table_at(table, i)) = (uint32_t)i + 1;
    return true;
}

static bool grow_items(struct table *table)
{
    size_t room = table->room == 0 ? 64 : table->room * 2;
    char *items = reallocarray(table->items, room, table->size);
    if (items == NULL)
        return false;
    table->items = items;
    table->room = room;
    return true;
}

void *table_add(struct table *table, const struct table_key *key)
{
    void *found = table_find(table, key);
    if (found != NULL || table->count == table->max)
        return found;
    if ((table->count == table->room && !grow_items(table)) ||
        ((table->slots == NULL || table->count >= (size_t)1 << (table->slots_log2 - 1)) && !grow_slots(table))) {
        table->out_of_memory = true;
        return NULL;
    }
    void *item = table_at(table, table->count);
    memset(item, 0, table->size);
    memcpy(item, key, sizeof *key);
    *slot_of(table, key) = (uint32_t)++table->count;
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

size_t table_choose(const struct table *table, table_before *before, const void *context, const void **chosen,
                    size_t room)
{
    struct heap heap = {chosen, room < table->count ? room : table->count, before, context};
    size_t count = heap.count;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        chosen[i] = table_at(table, i);
    for (size_t i = count / 2; i > 0; i--)
        sink(&heap, i - 1);
    for (size_t i = count; i < table->count; i++) {
        if (before(context, table_at(table, i), chosen[0])) {
            chosen[0] = table_at(table, i);
            sink(&heap, 0);
        }
    }
    /* The last one goes to the end, again and again. */
    while (heap.count > 1) {
        const void *last = chosen[0];
        chosen[0] = chosen[--heap.count];
        chosen[heap.count] = last;
        sink(&heap, 0);
    }
    return count;
}
