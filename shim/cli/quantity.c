#include "quantity.h"

#include "trace/clock.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

void quantity_span(uint64_t nanoseconds, char text[QUANTITY_MAX])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    uint64_t seconds = nanoseconds / NANOSECONDS_A_SECOND, minutes = seconds / 60, hours = minutes / 60;
    if (hours >= 24)
        snprintf(text, QUANTITY_MAX, "%" PRIu64 "d%02" PRIu64 "h", hours / 24, hours % 24);
    else if (hours > 0)
        snprintf(text, QUANTITY_MAX, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
    else if (minutes > 0)
        snprintf(text, QUANTITY_MAX, "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds % 60);
    else if (nanoseconds < 1000)
        snprintf(text, QUANTITY_MAX, "%" PRIu64 " ns", nanoseconds);
    else {
        uint64_t unit = 1000;
        size_t name = 1;
        for (; nanoseconds / unit >= 1000 && name < 3; name++)
            unit *= 1000;
        /* Cut and not rounded, so that it never says 1000. */
        uint64_t whole = nanoseconds / unit, thousandths = nanoseconds % unit / (unit / 1000);
        if (whole >= 100)
            snprintf(text, QUANTITY_MAX, "%" PRIu64 " %s", whole, units[name]);
        else if (whole >= 10)
            snprintf(text, QUANTITY_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole, thousandths / 100, units[name]);
        else
            snprintf(text, QUANTITY_MAX, "%" PRIu64 ".%02" PRIu64 " %s", whole, thousandths / 10, units[name]);
    }
}

void quantity_size(uint64_t bytes, char text[QUANTITY_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(text, QUANTITY_MAX, "%" PRIu64 " %s", bytes, units[unit]);
}
