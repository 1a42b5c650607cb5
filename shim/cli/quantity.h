/* Numbers as a person reads them. */
#ifndef QUANTITY_H
#define QUANTITY_H

#include <stdint.h>

#define QUANTITY_MAX 32 /* with the terminator */

typedef void quantity(uint64_t number, char text[QUANTITY_MAX]);

/* Nanoseconds: three digits and a unit; from a minute on, the two largest units. */
quantity quantity_span;

/* Bytes, exactly: the bounds of buckets are powers of two. */
quantity quantity_size;

#endif
