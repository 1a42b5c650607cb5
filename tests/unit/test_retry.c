#include "retry.h"

#include <criterion/criterion.h>

Test(retry, remaining)
{
    static const struct {
        uint64_t timeout, entry, now, rest;
    } rows[] = {
        {500, 1000, 1000, 500},
        {500, 1000, 1200, 300},
        {500, 1000, 1499, 1},
        {500, 1000, 1500, 0},
        {500, 1000, 1501, 0},
        {500, 1000, UINT64_MAX, 0},
        {500, 1000, 999, 500}, /* a clock that steps back gives no more time, and no less */
        {1, 0, 0, 1},
        {UINT64_MAX - 1, 1000, 1001, UINT64_MAX - 2},
        {UINT64_MAX - 1, 0, UINT64_MAX, 0},
        {RETRY_FOR_EVER, 0, UINT64_MAX, RETRY_FOR_EVER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(retry_remaining(rows[i].timeout, rows[i].entry, rows[i].now), rows[i].rest, "row %zu", i);
}
