/* Items by a key of 24 bytes: an open-addressing hash beside an array, in chunks, that keeps the order in which they
 * came. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_key {
    uint64_t words[3];
};

/* With a part of the key's hash, so that an item is looked at only if it is, nearly always, the one. */
struct table_slot {
    uint32_t number; /* of the item, from 1; 0: free */
    uint32_t mark;
};

#ifndef TABLE_CHUNK_LOG2 /* fewer where a table is made anew for each input of a fuzz target */
#define TABLE_CHUNK_LOG2 16
#endif

struct table {
    char **chunks; /* of items, which begin with their keys and never move */
    size_t chunk_count, chunk_room;
    size_t size; /* of an item */
    size_t count, max;
    struct table_slot *slots;
    unsigned int slots_log2;
    uint64_t seed; /* keys come from a trace: nobody shall know which collide */
    bool out_of_memory;
};

/* Items of a size that is a multiple of 64 have cache lines of their own. At most `max` items, and never more than
 * 2^31. */
void table_init(struct table *table, size_t size, size_t max);
void table_free(struct table *table);

/* NULL where there is none. */
void *table_find(const struct table *table, const struct table_key *key);

/* Find it, or add one that is all zero but for its key. NULL where the table is full, or memory ran out, which
 * out_of_memory tells. */
void *table_add(struct table *table, const struct table_key *key);

/* The same in steps, for many keys in a row: the memory of one is fetched while others are worked at. */
uint64_t table_hash(const struct table *table, const struct table_key *key);
void table_prefetch_slot(const struct table *table, uint64_t hash);
void table_prefetch_item(const struct table *table, uint64_t hash); /* its first two cache lines */
void *table_add_hashed(struct table *table, const struct table_key *key, uint64_t hash);

static inline void *table_at(const struct table *table, size_t index)
{
    return table->chunks[index >> TABLE_CHUNK_LOG2] + (index & ((1U << TABLE_CHUNK_LOG2) - 1)) * table->size;
}

/* Put the first `room` of all items in the order that `before` tells into `chosen`. Returns how many there are. The
 * work is that of the whole table times the logarithm of `room`. */
typedef bool table_before(const void *context, const void *left, const void *right);
size_t table_choose(const struct table *table, table_before *before, const void *context, const void **chosen,
                    size_t room);

#endif
