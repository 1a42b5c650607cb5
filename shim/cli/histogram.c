#include "histogram.h"

#define WIDTH (1U << HISTOGRAM_PRECISION) /* buckets in a power of two */

static unsigned int bucket_of(uint64_t number)
{
    if (number < WIDTH)
        return (unsigned int)number;
    unsigned int shift = 63U - (unsigned int)__builtin_clzll(number) - HISTOGRAM_PRECISION;
    return (shift << HISTOGRAM_PRECISION) + (unsigned int)(number >> shift);
}

/* How far the numbers of a bucket are shifted to the right to lie side by side. */
static unsigned int shift_of(unsigned int bucket)
{
    return bucket < WIDTH ? 0 : (bucket >> HISTOGRAM_PRECISION) - 1;
}

uint64_t histogram_bucket_from(unsigned int bucket)
{
    unsigned int shift = shift_of(bucket);
    return (uint64_t)(bucket - (shift << HISTOGRAM_PRECISION)) << shift;
}

uint64_t histogram_bucket_to(unsigned int bucket)
{
    return histogram_bucket_from(bucket) + ((UINT64_C(1) << shift_of(bucket)) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t number)
{
    histogram->buckets[bucket_of(number)]++;
    if (histogram->count == 0 || number < histogram->min)
        histogram->min = number;
    if (number > histogram->max)
        histogram->max = number;
    if (__builtin_add_overflow(histogram->sum, number, &histogram->sum))
        histogram->sum = UINT64_MAX;
    histogram->count++;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned int permille)
{
    /* Rounded up, and without a product that could overflow. */
    uint64_t rank = histogram->count / 1000 * permille + (histogram->count % 1000 * permille + 999) / 1000;
    uint64_t passed = 0;
    for (unsigned int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        passed += histogram->buckets[bucket];
        if (passed >= rank && passed > 0) {
            uint64_t to = histogram_bucket_to(bucket);
            return to < histogram->max ? to : histogram->max;
        }
    }
    return histogram->max;
}

uint64_t histogram_octave_from(unsigned int octave)
{
    return octave == 0 ? 0 : UINT64_C(1) << (octave - 1);
}

uint64_t histogram_octave_to(unsigned int octave)
{
    return octave == 0 ? 0 : UINT64_MAX >> (64 - octave);
}

uint64_t histogram_octave(const struct histogram *histogram, unsigned int octave)
{
    uint64_t count = 0;
    unsigned int last = bucket_of(histogram_octave_to(octave));
    for (unsigned int bucket = bucket_of(histogram_octave_from(octave)); bucket <= last; bucket++)
        count += histogram->buckets[bucket];
    return count;
}
