#include "moment.h"

#include "trace/clock.h"

#include <string.h>
#include <time.h>

/* Read at most `most` digits and step over them. Returns how many there were. */
static unsigned int read_digits(const char **text, unsigned int most, uint64_t *number)
{
    unsigned int count = 0;
    for (*number = 0; count < most && **text >= '0' && **text <= '9'; count++, (*text)++)
        *number = *number * 10 + (uint64_t)(**text - '0');
    return count;
}

/* An optional `.FRACTION` of a unit, in nanoseconds for a unit of a second; digits beyond the ninth are passed over. */
static bool read_fraction(const char **text, uint64_t *nanoseconds)
{
    *nanoseconds = 0;
    if (**text != '.')
        return true;
    (*text)++;
    unsigned int count = read_digits(text, 9, nanoseconds);
    for (unsigned int i = count; i < 9; i++)
        *nanoseconds *= 10;
    while (**text >= '0' && **text <= '9')
        (*text)++;
    return count > 0;
}

static bool read_two(const char **text, uint64_t max, int *value)
{
    uint64_t number;
    if (read_digits(text, 2, &number) != 2 || number > max)
        return false;
    *value = (int)number;
    return true;
}

static bool skip(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

/* HH:MM[:SS[.FRACTION]] */
static bool read_clock(const char **text, struct tm *fields, uint64_t *nanoseconds)
{
    *nanoseconds = 0;
    if (!read_two(text, 23, &fields->tm_hour) || !skip(text, ':') || !read_two(text, 59, &fields->tm_min))
        return false;
    if (!skip(text, ':'))
        return true;
    return read_two(text, 60, &fields->tm_sec) && read_fraction(text, nanoseconds);
}

static bool read_date(const char **text, struct tm *fields)
{
    uint64_t year;
    if (read_digits(text, 4, &year) != 4 || !skip(text, '-') || !read_two(text, 12, &fields->tm_mon) ||
        !skip(text, '-') || !read_two(text, 31, &fields->tm_mday))
        return false;
    fields->tm_year = (int)year - 1900;
    fields->tm_mon--;
    /* A day that the month does not have would become one of the next. */
    struct tm day = {.tm_year = fields->tm_year, .tm_mon = fields->tm_mon, .tm_mday = fields->tm_mday};
    timegm(&day);
    return day.tm_mon == fields->tm_mon && day.tm_mday == fields->tm_mday;
}

/* The end of the text: a zone, or nothing for local time. */
static bool finish(const char *text, struct tm *fields, uint64_t nanoseconds, uint64_t *moment)
{
    time_t seconds;
    fields->tm_isdst = -1;
    if (*text == '\0') {
        seconds = mktime(fields);
    } else if (strcmp(text, "Z") == 0) {
        seconds = timegm(fields);
    } else {
        int hours, minutes, sign = *text == '-' ? -1 : 1;
        if ((!skip(&text, '+') && !skip(&text, '-')) || !read_two(&text, 23, &hours))
            return false;
        skip(&text, ':');
        if (!read_two(&text, 59, &minutes) || *text != '\0')
            return false;
        seconds = timegm(fields) - (time_t)sign * (hours * 60 + minutes) * 60;
    }
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / NANOSECONDS_A_SECOND - 1)
        return false;
    *moment = (uint64_t)seconds * NANOSECONDS_A_SECOND + nanoseconds;
    return true;
}

static bool parse_clock(const char *text, uint64_t now, uint64_t *moment)
{
    struct tm fields;
    uint64_t nanoseconds;
    localtime_r(&(time_t){(time_t)(now / NANOSECONDS_A_SECOND)}, &fields);
    fields.tm_sec = 0;
    return read_clock(&text, &fields, &nanoseconds) && *text == '\0' && finish(text, &fields, nanoseconds, moment);
}

static bool parse_iso(const char *text, uint64_t *moment)
{
    struct tm fields = {0};
    uint64_t nanoseconds = 0;
    if (!read_date(&text, &fields))
        return false;
    if ((skip(&text, 'T') || skip(&text, ' ')) && !read_clock(&text, &fields, &nanoseconds))
        return false;
    return finish(text, &fields, nanoseconds, moment);
}

static bool parse_seconds(const char *text, uint64_t *moment)
{
    uint64_t seconds, nanoseconds;
    if (read_digits(&text, 10, &seconds) == 0 || !read_fraction(&text, &nanoseconds) || *text != '\0')
        return false;
    *moment = seconds * NANOSECONDS_A_SECOND + nanoseconds;
    return true;
}

static bool parse_ago(const char *text, uint64_t now, uint64_t *moment)
{
    static const struct {
        const char *name;
        uint64_t nanoseconds;
    } units[] = {{"ms", NANOSECONDS_A_SECOND / 1000},
                 {"s", NANOSECONDS_A_SECOND},
                 {"m", 60 * NANOSECONDS_A_SECOND},
                 {"h", 3600 * NANOSECONDS_A_SECOND},
                 {"d", 86400 * NANOSECONDS_A_SECOND}};
    uint64_t whole, fraction, before;
    if (read_digits(&text, 9, &whole) == 0 || !read_fraction(&text, &fraction))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(whole, units[i].nanoseconds, &before))
            before = UINT64_MAX;
        uint64_t rest = (uint64_t)((double)fraction * (double)units[i].nanoseconds / 1e9);
        if (__builtin_add_overflow(before, rest, &before) || before > now)
            before = now; /* before 1970 is before everything */
        *moment = now - before;
        return true;
    }
    return false;
}

bool moment_parse(const char *text, uint64_t now, uint64_t *moment)
{
    if (text[0] == '@')
        return parse_seconds(text + 1, moment);
    if (text[0] == '-')
        return parse_ago(text + 1, now, moment);
    return strcspn(text, ":") == 2 ? parse_clock(text, now, moment) : parse_iso(text, moment);
}
