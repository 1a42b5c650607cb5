/* A distribution of numbers of 64 bits, in the manner of HdrHistogram: below 64 each number has a bucket of its own,
 * and beyond that every power of two is cut into 64 buckets of equal width. What is told of a number is so never more
 * than 1/64 of it too large, whatever its size. Constant memory: 30 KiB. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_PRECISION 6 /* bits */
#define HISTOGRAM_BUCKETS   ((64 - HISTOGRAM_PRECISION + 1) << HISTOGRAM_PRECISION)
#define HISTOGRAM_OCTAVES   65 /* 0 alone, then 1, 2 to 3, 4 to 7, ..., 2^63 to 2^64 - 1 */

struct histogram {
    uint64_t count;
    uint64_t sum; /* UINT64_MAX: that or more */
    uint64_t min, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* All zero is an empty one. */
void histogram_add(struct histogram *histogram, uint64_t number);

/* The number that this many of a thousand do not exceed: the upper bound of its bucket, or the maximum; 0 of an empty
 * histogram. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned int permille);

/* How many numbers lie in an octave, 0 to HISTOGRAM_OCTAVES - 1; and its bounds, both inclusive. */
uint64_t histogram_octave(const struct histogram *histogram, unsigned int octave);
uint64_t histogram_octave_from(unsigned int octave);
uint64_t histogram_octave_to(unsigned int octave);

/* A bucket's bounds, both inclusive. */
uint64_t histogram_bucket_from(unsigned int bucket);
uint64_t histogram_bucket_to(unsigned int bucket);

#endif
