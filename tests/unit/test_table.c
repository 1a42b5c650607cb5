/* The table of items by key: whatever goes in is found again, and the first few are the right ones. */
#include "cli/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct item {
    struct table_key key;
    uint64_t value;
};

static struct table_key key(uint64_t number)
{
    return (struct table_key){{number, number >> 3, ~number}};
}

Test(table, finds_what_it_was_given)
{
    enum { COUNT = 200000 }; /* several chunks, and many sizes of the hash */
    struct table table;
    table_init(&table, sizeof(struct item), SIZE_MAX);
    struct table_key absent = key(0);
    cr_assert_null(table_find(&table, &absent));
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct table_key number = key(i * i);
        struct item *item = table_add(&table, &number);
        cr_assert_eq(item->value, 0);
        item->value = i;
    }
    cr_assert_eq(table.count, COUNT);
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct table_key number = key(i * i);
        struct item *item = table_find(&table, &number);
        cr_assert(item != NULL && item->value == i);
        cr_assert_eq(item, table_at(&table, i - 1), "in the order they came");
        cr_assert_eq(table_add(&table, &number), item);
    }
    cr_assert_null(table_find(&table, &absent));
    cr_assert_eq(table.count, COUNT);
    table_free(&table);
}

Test(table, keys_that_share_most_bits_do_not_pile_up, .timeout = 300)
{
    struct table table;
    table_init(&table, sizeof(struct item), SIZE_MAX);
    for (unsigned int shift = 0; shift < 48; shift += 16) {
        for (uint64_t i = 0; i < 60000; i++) {
            struct table_key number = {{i << shift, 0, shift}};
            cr_assert_not_null(table_add(&table, &number));
        }
    }
    cr_assert_eq(table.count, 180000);
    table_free(&table);
}

Test(table, is_bounded)
{
    struct table table;
    table_init(&table, sizeof(struct item), 3);
    for (uint64_t i = 0; i < 5; i++) {
        struct table_key number = key(i);
        cr_assert_eq(table_add(&table, &number) != NULL, i < 3);
    }
    struct table_key second = key(1);
    cr_assert_not_null(table_add(&table, &second), "those that are in stay in");
    cr_assert_not(table.out_of_memory);
    table_free(&table);
}

static bool smaller(const void *context, const void *left, const void *right)
{
    (void)context;
    return ((const struct item *)left)->value < ((const struct item *)right)->value;
}

Test(table, chooses_the_first_in_order)
{
    for (size_t count = 0; count < 60; count++) {
        struct table table;
        const void *chosen[60];
        table_init(&table, sizeof(struct item), SIZE_MAX);
        for (uint64_t i = 0; i < count; i++) {
            struct table_key number = key(i);
            ((struct item *)table_add(&table, &number))->value = i * 37 % 61;
        }
        for (size_t room = 0; room <= count; room++) {
            cr_assert_eq(table_choose(&table, smaller, NULL, chosen, room), room);
            for (size_t i = 1; i < room; i++)
                cr_assert(smaller(NULL, chosen[i - 1], chosen[i]));
            for (size_t i = 0; i < count && room > 0; i++) {
                const struct item *item = table_at(&table, i);
                bool among = false;
                for (size_t j = 0; j < room; j++)
                    among = among || chosen[j] == item;
                cr_assert(among || smaller(NULL, chosen[room - 1], item));
            }
        }
        table_free(&table);
    }
}
