/* A distribution drawn as bars by powers of two, as bpftrace's hist draws it. */
#ifndef BARS_H
#define BARS_H

#include "histogram.h"
#include "output.h"
#include "quantity.h"

/* Prints nothing of one that is empty. `width`: columns there are. */
void bars_print(struct output *output, size_t width, const char *title, const struct histogram *histogram,
                quantity *describe);

#endif
