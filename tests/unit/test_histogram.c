/* Distributions: where buckets begin and end, and how far off what they tell may be. */
#include "cli/histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct histogram histogram;

static int compare(const void *left_item, const void *right_item)
{
    uint64_t left = *(const uint64_t *)left_item, right = *(const uint64_t *)right_item;
    return left < right ? -1 : left > right;
}

Test(histogram, buckets_meet_without_a_gap)
{
    uint64_t from = 0;
    for (unsigned int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t to = histogram_bucket_to(bucket);
        cr_assert_eq(histogram_bucket_from(bucket), from, "bucket %u", bucket);
        cr_assert_geq(to, from);
        cr_assert(to - from <= from / 64, "bucket %u is wider than 1/64 of its numbers", bucket);
        from = to + 1;
    }
    cr_assert_eq(from, 0, "the last one ends with the largest number");
    cr_assert_eq(histogram_bucket_to(127), 127);
    cr_assert_eq(histogram_bucket_from(128), 128);
    cr_assert_eq(histogram_bucket_to(128), 129);
}

Test(histogram, counts_each_number_in_its_bucket)
{
    for (unsigned int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        memset(&histogram, 0, sizeof histogram);
        histogram_add(&histogram, histogram_bucket_from(bucket));
        histogram_add(&histogram, histogram_bucket_to(bucket));
        cr_assert_eq(histogram.buckets[bucket], 2, "bucket %u", bucket);
    }
}

Test(histogram, octaves_are_powers_of_two)
{
    uint64_t numbers[] = {0, 1, 2, 3, 4, 63, 64, 65, 1023, 1024, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        histogram_add(&histogram, numbers[i]);
    cr_assert_eq(histogram_octave(&histogram, 0), 1);
    cr_assert_eq(histogram_octave(&histogram, 1), 1);
    cr_assert_eq(histogram_octave(&histogram, 2), 2);
    cr_assert_eq(histogram_octave(&histogram, 3), 1);
    cr_assert_eq(histogram_octave(&histogram, 6), 1);
    cr_assert_eq(histogram_octave(&histogram, 7), 2);
    cr_assert_eq(histogram_octave(&histogram, 10), 1);
    cr_assert_eq(histogram_octave(&histogram, 11), 1);
    cr_assert_eq(histogram_octave(&histogram, 64), 1);
    uint64_t count = 0;
    for (unsigned int octave = 0; octave < HISTOGRAM_OCTAVES; octave++) {
        count += histogram_octave(&histogram, octave);
        if (octave > 0)
            cr_assert_eq(histogram_octave_from(octave), histogram_octave_to(octave - 1) + 1);
    }
    cr_assert_eq(count, histogram.count);
    cr_assert_eq(histogram_octave_to(64), UINT64_MAX);
    cr_assert_eq(histogram.sum, UINT64_MAX, "no sum begins anew at 0");
    cr_assert_eq(histogram.min, 0);
    cr_assert_eq(histogram.max, UINT64_MAX);
}

Test(histogram, quantiles_are_exact_below_128)
{
    cr_assert_eq(histogram_quantile(&histogram, 500), 0, "of nothing");
    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(&histogram, i);
    cr_assert_eq(histogram_quantile(&histogram, 500), 50);
    cr_assert_eq(histogram_quantile(&histogram, 900), 90);
    cr_assert_eq(histogram_quantile(&histogram, 990), 99);
    cr_assert_eq(histogram_quantile(&histogram, 1000), 100);
    cr_assert_eq(histogram_quantile(&histogram, 0), 1);
}

Test(histogram, quantiles_are_never_too_small_and_at_most_a_64th_too_large)
{
    enum { COUNT = 10000 };
    static uint64_t numbers[COUNT];
    srandom(1);
    for (size_t i = 0; i < COUNT; i++) {
        numbers[i] = ((uint64_t)random() << 32 | (uint64_t)random()) >> (random() % 64);
        histogram_add(&histogram, numbers[i]);
    }
    qsort(numbers, COUNT, sizeof numbers[0], compare);
    for (unsigned int permille = 1; permille <= 1000; permille++) {
        uint64_t exact = numbers[(uint64_t)COUNT * permille / 1000 - 1],
                 told = histogram_quantile(&histogram, permille);
        cr_assert_geq(told, exact);
        cr_assert_leq(told - exact, exact / 64, "%u: %llu for %llu", permille, (unsigned long long)told,
                      (unsigned long long)exact);
    }
    cr_assert_eq(histogram_quantile(&histogram, 1000), numbers[COUNT - 1], "the maximum is exact");
}
