/* One line of text in memory of the caller's: the little that is needed where stdio may not be used. Text that does not
 * fit is cut. */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct line {
    char *text; /* always terminated */
    size_t size;
    size_t length;
};

static inline void line_add_bytes(struct line *line, const char *bytes, size_t count)
{
    size_t room = line->size - line->length - 1;
    size_t taken = count < room ? count : room;
    memcpy(line->text + line->length, bytes, taken);
    line->length += taken;
    line->text[line->length] = '\0';
}

static inline void line_add(struct line *line, const char *text)
{
    line_add_bytes(line, text, strlen(text));
}

static inline void line_add_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    line_add_bytes(line, digits + at, sizeof digits - at);
}

#endif
