/* Names come from other programs and may hold any bytes; what is printed is valid UTF-8 always. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The character at the start of the bytes (RFC 3629: neither overlong forms nor surrogates). Returns its length, 1 to
 * 4, or 0 if there is none. `count` is at least 1. */
size_t utf8_decode(const char *bytes, size_t count, uint32_t *character);

#endif
