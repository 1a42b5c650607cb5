#include "fault_values.h"

#include "error_names.h"

#include "recvshim/trace.h"

#include <sys/socket.h>

struct word word_before(struct word *word, const char *separator)
{
    const struct word whole = *word;
    const size_t step = strlen(separator);
    for (size_t at = 0; at + step <= whole.length; at++) {
        if (memcmp(whole.text + at, separator, step) == 0) {
            *word = word_from(whole, at + step);
            return (struct word){whole.text, at};
        }
    }
    *word = (struct word){NULL, 0};
    return whole;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* As the last digit of a decimal number. */
static bool append(uint64_t *number, unsigned int digit)
{
    return !__builtin_mul_overflow(*number, 10U, number) && !__builtin_add_overflow(*number, digit, number);
}

bool word_take_number(struct word *word, uint64_t *number)
{
    uint64_t value = 0;
    size_t at = 0;
    for (; at < word->length && is_digit(word->text[at]); at++)
        if (!append(&value, (unsigned int)(word->text[at] - '0')))
            return false;
    *number = value;
    *word = word_from(*word, at);
    return at > 0;
}

static bool read_number(struct word word, uint64_t *value)
{
    return word_take_number(&word, value) && word.length == 0;
}

const struct fault_kind fault_number = {read_number, line_add_number};

/* Multiply by so many powers of ten. */
static bool shift(uint64_t *value, unsigned int digits)
{
    for (; digits > 0; digits--)
        if (!append(value, 0))
            return false;
    return true;
}

/* Read a decimal such as 1.5 in units of 10^-digits. What is finer is refused, not rounded. */
static bool read_decimal(struct word word, unsigned int digits, uint64_t *value)
{
    if (!word_take_number(&word, value))
        return false;
    if (word.length == 0)
        return shift(value, digits);
    if (word.text[0] != '.' || word.length == 1)
        return false;
    for (size_t at = 1; at < word.length; at++) {
        if (!is_digit(word.text[at]) || (digits == 0 && word.text[at] != '0'))
            return false;
        if (digits > 0 && !append(value, (unsigned int)(word.text[at] - '0')))
            return false;
        digits -= digits > 0;
    }
    return shift(value, digits);
}

static bool read_bytes(struct word word, uint64_t *value)
{
    static const char *const suffixes[] = {"", "K", "M", "G"};
    if (!word_take_number(&word, value))
        return false;
    for (unsigned int i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (word_is(word, suffixes[i]))
            return !__builtin_mul_overflow(*value, UINT64_C(1) << (10 * i), value);
    return false;
}

const struct fault_kind fault_bytes = {read_bytes, line_add_number};

/* 16 of a character that is none. */
static unsigned int hex_digit(char character)
{
    if (is_digit(character))
        return (unsigned int)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned int)(character - 'a') + 10;
    return character >= 'A' && character <= 'F' ? (unsigned int)(character - 'A') + 10 : 16;
}

static bool read_hex(struct word word, uint64_t *value)
{
    *value = 0;
    if (word.length == 0 || word.length > 16)
        return false;
    for (size_t at = 0; at < word.length; at++) {
        unsigned int digit = hex_digit(word.text[at]);
        if (digit == 16)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

static void write_hex(struct line *line, uint64_t value)
{
    unsigned int shift = 60;
    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        line_add_bytes(line, &"0123456789abcdef"[value >> shift & 15U], 1);
        if (shift == 0)
            return;
    }
}

const struct fault_kind fault_hex = {read_hex, write_hex};

/* The first is the largest; the last divides every time. */
static const struct {
    const char *name;
    uint64_t nanoseconds;
    unsigned int digits;
} units[] = {{"s", 1000000000, 9}, {"ms", 1000000, 6}, {"us", 1000, 3}, {"ns", 1, 0}};
#define UNITS (sizeof units / sizeof units[0])

static bool read_time(struct word word, uint64_t *value)
{
    size_t length = 0;
    while (length < word.length && (is_digit(word.text[length]) || word.text[length] == '.'))
        length++;
    for (size_t i = 0; i < UNITS; i++)
        if (word_is(word_from(word, length), units[i].name))
            return read_decimal((struct word){word.text, length}, units[i].digits, value);
    return false;
}

static void write_time(struct line *line, uint64_t value)
{
    size_t unit = 0;
    while (value % units[unit].nanoseconds != 0)
        unit++;
    line_add_number(line, value / units[unit].nanoseconds);
    line_add(line, units[unit].name);
}

const struct fault_kind fault_time = {read_time, write_time};

_Static_assert(RECVSHIM_CHANCE_ALWAYS == 1000000000, "a chance has nine decimals");

static bool read_chance(struct word word, uint64_t *value)
{
    return read_decimal(word, 9, value);
}

static void write_chance(struct line *line, uint64_t value)
{
    line_add_number(line, value / RECVSHIM_CHANCE_ALWAYS);
    uint64_t rest = value % RECVSHIM_CHANCE_ALWAYS;
    if (rest != 0)
        line_add(line, ".");
    for (uint64_t unit = RECVSHIM_CHANCE_ALWAYS / 10; rest != 0; rest %= unit, unit /= 10)
        line_add_number(line, rest / unit);
}

const struct fault_kind fault_chance = {read_chance, write_chance};

static bool read_error(struct word word, uint64_t *value)
{
    int error = error_by_name(word.text, word.length);
    *value = (uint64_t)error;
    return error != 0 || read_number(word, value);
}

static void write_error(struct line *line, uint64_t value)
{
    const char *name = value <= INT32_MAX ? error_name_of((int)value) : NULL;
    if (name != NULL)
        line_add(line, name);
    else
        line_add_number(line, value);
}

const struct fault_kind fault_error = {read_error, write_error};

static bool choose(struct word word, const char *const names[], size_t count, uint64_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && word_is(word, names[i])) {
            *value = i;
            return true;
        }
    }
    return false;
}

static const char *const pers[] = {
    [RECVSHIM_PER_PROCESS] = "process", [RECVSHIM_PER_CONNECTION] = "connection", [RECVSHIM_PER_TRACE] = "trace"};
#define PERS (sizeof pers / sizeof pers[0])
_Static_assert(PERS == RECVSHIM_PERS, "each has its name");

static bool read_per(struct word word, uint64_t *value)
{
    return choose(word, pers, PERS, value);
}

static void write_per(struct line *line, uint64_t value)
{
    line_add(line, pers[value]);
}

const struct fault_kind fault_per = {read_per, write_per};

static const char *const types[] = {[SOCK_STREAM] = "stream", [SOCK_DGRAM] = "dgram"};
#define TYPES (sizeof types / sizeof types[0])

static bool read_type(struct word word, uint64_t *value)
{
    return choose(word, types, TYPES, value);
}

static void write_type(struct line *line, uint64_t value)
{
    line_add(line, types[value]);
}

const struct fault_kind fault_type = {read_type, write_type};
