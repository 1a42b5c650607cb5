/* The words of a rule of fault injection, and the values that they stand for: read, and written again. libc only,
 * and nothing is allocated; no locale has a say in it. */
#ifndef FAULT_VALUES_H
#define FAULT_VALUES_H

#include "line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a text. */
struct word {
    const char *text; /* not terminated; NULL: there is no such part */
    size_t length;
};

static inline struct word word_of(const char *text)
{
    return (struct word){text, strlen(text)};
}

static inline struct word word_from(struct word word, size_t at)
{
    return (struct word){word.text + at, word.length - at};
}

static inline bool word_is(struct word word, const char *text)
{
    return strlen(text) == word.length && memcmp(text, word.text, word.length) == 0;
}

/* The part before the first `separator`, which is taken off with it; the whole word where there is none, and *word then
 * is none. */
struct word word_before(struct word *word, const char *separator);

/* Take a decimal number off the word's beginning. Returns false where there is none, or none of 64 bits. */
bool word_take_number(struct word *word, uint64_t *number);

/* A way to write a value. Reading takes a whole word, and returns false where it is no such value. */
struct fault_kind {
    bool (*read)(struct word word, uint64_t *value);
    void (*write)(struct line *line, uint64_t value);
};

extern const struct fault_kind fault_number; /* 42 */
extern const struct fault_kind fault_bytes;  /* 42, 4K, 4M, 4G */
extern const struct fault_kind fault_hex;    /* 0123456789abcdef: 1 to 16 digits */
extern const struct fault_kind fault_time;   /* 1.5ms: nanoseconds, written with ns, us, ms or s */
extern const struct fault_kind fault_chance; /* 0.01: of RECVSHIM_CHANCE_ALWAYS */
extern const struct fault_kind fault_error;  /* ECONNRESET, or a number */
extern const struct fault_kind fault_per;    /* process: enum recvshim_per */
extern const struct fault_kind fault_type;   /* stream: SOCK_STREAM and SOCK_DGRAM */

#endif
