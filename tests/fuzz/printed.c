#include "printed.h"

#include "cli/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char printed[(1 << 22) + 1]; /* ends with a zero byte */
static size_t printed_size;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

static void check(bool holds)
{
    if (holds)
        return;
    __real_write(STDERR_FILENO, printed, printed_size);
    abort();
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    if (fd == STDERR_FILENO) { /* a message, on one line */
        for (size_t i = 0; i + 1 < size; i++)
            check(((const unsigned char *)bytes)[i] >= 0x20);
        return (ssize_t)size;
    }
    if (fd != PRINTED)
        return __real_write(fd, bytes, size);
    if (size >= sizeof printed - printed_size)
        abort();
    memcpy(printed + printed_size, bytes, size);
    printed_size += size;
    return (ssize_t)size;
}

static void check_characters(bool text)
{
    uint32_t character;
    for (size_t at = 0, step; at < printed_size; at += step) {
        if (printed[at] >= 0x20 && printed[at] < 0x7f) { /* nearly all */
            step = 1;
            continue;
        }
        step = utf8_decode(printed + at, printed_size - at, &character);
        check(step > 0);
        check(!text || character == '\n' || character >= 0xa0);
    }
}

/* ---- RFC 8259: what follows the place in the text must be one, and is passed over ---- */

static void pass(const char **at, char expected)
{
    check(*(*at)++ == expected);
}

static void pass_string(const char **at)
{
    pass(at, '"');
    for (; **at != '"'; ++*at) {
        check((unsigned char)**at >= 0x20);
        if (**at != '\\')
            continue;
        ++*at;
        check(**at != '\0' && strchr("\"\\/bfnrtu", **at) != NULL);
        if (**at == 'u') {
            check(strspn(*at + 1, "0123456789abcdefABCDEF") >= 4);
            *at += 4;
        }
    }
    ++*at;
}

static void pass_number(const char **at)
{
    *at += **at == '-';
    size_t digits = strspn(*at, "0123456789");
    check(digits == 1 || (digits > 1 && **at != '0'));
    *at += digits;
    if (**at == '.') {
        digits = strspn(++*at, "0123456789");
        check(digits > 0);
        *at += digits;
    }
}

static void pass_value(const char **at);

static void pass_members(const char **at, char end)
{
    for (bool first = true; **at != end; first = false) {
        if (!first)
            pass(at, ',');
        *at += **at == '\n';
        if (end == '}') {
            pass_string(at);
            pass(at, ':');
        }
        pass_value(at);
        *at += **at == '\n';
    }
    ++*at;
}

static void pass_value(const char **at)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (strncmp(*at, words[i], length) == 0) {
            *at += length;
            return;
        }
    }
    if (**at == '{' || **at == '[') {
        char end = *(*at)++ == '{' ? '}' : ']';
        pass_members(at, end);
    } else if (**at == '"') {
        pass_string(at);
    } else {
        pass_number(at);
    }
}

void printed_check(enum printed kind)
{
    printed[printed_size] = '\0';
    check_characters(kind == PRINTED_TEXT);
    const char *at = printed;
    while (kind == PRINTED_JSON && *at != '\0') {
        pass_value(&at);
        at += *at == '\n';
    }
    printed_size = 0;
}
