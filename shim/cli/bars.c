#include "bars.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_octave(struct output *output, size_t width, const struct histogram *histogram, unsigned int octave,
                         uint64_t largest, quantity *describe)
{
    char from[QUANTITY_MAX], to[QUANTITY_MAX] = "", range[96], bar[512];
    uint64_t count = histogram_octave(histogram, octave);
    describe(histogram_octave_from(octave), from);
    if (octave == 0)
        snprintf(range, sizeof range, "[%s]", from);
    else if (octave == HISTOGRAM_OCTAVES - 1)
        snprintf(range, sizeof range, "[%s, ...)", from);
    else {
        describe(histogram_octave_from(octave + 1), to);
        snprintf(range, sizeof range, "[%s, %s)", from, to);
    }
    size_t room = width > 44 ? width - 34 : 10;
    room = room < sizeof bar ? room : sizeof bar - 1;
    /* As if real: a count may be as large as 64 bits let it. */
    size_t length = (size_t)((double)count / (double)largest * (double)room + 0.5);
    length = length < room ? length : room;
    length = length == 0 && count > 0 ? 1 : length; /* few are not none */
    memset(bar, '@', length);
    memset(bar + length, ' ', room - length);
    bar[room] = '\0';
    output_print(output, "%-19s %10" PRIu64 " |%s|\n", range, count, bar);
}

/* How many octaves from here on have nothing. */
static unsigned int empty_octaves(const struct histogram *histogram, unsigned int octave)
{
    unsigned int count = 0;
    while (octave + count < HISTOGRAM_OCTAVES && histogram_octave(histogram, octave + count) == 0)
        count++;
    return count;
}

void bars_print(struct output *output, size_t width, const char *title, const struct histogram *histogram,
                quantity *describe)
{
    static const struct {
        const char *name;
        unsigned int permille;
    } quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
    if (histogram->count == 0)
        return;
    output_print(output, "\n%s:", title);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        char number[QUANTITY_MAX];
        describe(histogram_quantile(histogram, quantiles[i].permille), number);
        output_print(output, "%s %s %s", i > 0 ? "," : "", quantiles[i].name, number);
    }
    output_print(output, "\n");
    unsigned int first = empty_octaves(histogram, 0), last = HISTOGRAM_OCTAVES - 1;
    while (histogram_octave(histogram, last) == 0)
        last--;
    uint64_t largest = 1;
    for (unsigned int octave = first; octave <= last; octave++) {
        uint64_t count = histogram_octave(histogram, octave);
        largest = count > largest ? count : largest;
    }
    for (unsigned int octave = first; octave <= last; octave++) {
        unsigned int empty = empty_octaves(histogram, octave);
        if (empty > 2) { /* far apart: what lies between would bury the rest */
            output_print(output, "...\n");
            octave += empty;
        }
        print_octave(output, width, histogram, octave, largest, describe);
    }
}
