/* References by time: a natural merge sort. Each shard is in order but for the few writers that were interrupted
 * between the clock and the cursor, so that the references come as a handful of long runs; merging runs costs little
 * then, and n log n at the worst. */
#include "read.h"

#include <stdlib.h>
#include <string.h>

/* The end of the run that begins at `from`. */
static size_t run_end(const struct references *references, size_t from)
{
    size_t at = from + 1;
    while (at < references->count && references->items[at - 1].time <= references->items[at].time)
        at++;
    return at < references->count ? at : references->count;
}

static void merge(const struct reference *items, size_t from, size_t middle, size_t end, struct reference *merged)
{
    size_t left = from, right = middle;
    for (size_t at = from; at < end; at++) {
        bool take_left = left < middle && (right == end || items[left].time <= items[right].time);
        merged[at] = items[take_left ? left++ : right++];
    }
}

bool references_sort(struct references *references)
{
    if (references->count == 0 || run_end(references, 0) == references->count)
        return true;
    struct reference *spare = reallocarray(NULL, references->count, sizeof *spare);
    if (spare == NULL)
        return false;
    bool sorted;
    do {
        /* Merge every two neighbouring runs, until one run is left. */
        sorted = true;
        for (size_t from = 0; from < references->count;) {
            size_t middle = run_end(references, from);
            size_t end = middle < references->count ? run_end(references, middle) : middle;
            merge(references->items, from, middle, end, spare);
            sorted = sorted && from == 0 && end == references->count;
            from = end;
        }
        struct reference *swap = references->items;
        references->items = spare;
        spare = swap;
    } while (!sorted);
    references->room = references->count;
    free(spare);
    return true;
}
