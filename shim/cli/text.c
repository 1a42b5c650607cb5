#include "text.h"

#include "utf8.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>

void text_name(struct output *output, const char *bytes, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t from = at;
        while (at < count && bytes[at] >= 0x20 && bytes[at] < 0x7f)
            at++;
        output_bytes(output, bytes + from, at - from);
        if (at == count)
            break;
        uint32_t character;
        size_t length = utf8_decode(bytes + at, count - at, &character);
        if (length == 0 || character < 0x20 || (character >= 0x7f && character < 0xa0)) {
            unsigned char byte = (unsigned char)bytes[at++];
            LITERAL(output, "\\x");
            output_byte(output, "0123456789abcdef"[byte >> 4]);
            output_byte(output, "0123456789abcdef"[byte & 0xf]);
        } else {
            output_bytes(output, bytes + at, length);
            at += length;
        }
    }
}

void text_address(struct output *output, uint16_t family, const char *text, size_t length, uint16_t port)
{
    if (family == AF_UNIX) {
        if (length == 0)
            LITERAL(output, "an unnamed unix socket");
        else
            text_name(output, text, length);
        return;
    }
    if (family == AF_INET6)
        output_byte(output, '[');
    output_bytes(output, text, length);
    if (family == AF_INET6)
        output_byte(output, ']');
    output_byte(output, ':');
    output_unsigned(output, port);
}

void text_span(struct output *output, uint64_t nanoseconds)
{
    uint64_t microseconds = nanoseconds / 1000;
    if (microseconds < 1000) {
        output_unsigned(output, microseconds);
        LITERAL(output, " us");
        return;
    }
    bool seconds = microseconds >= 1000000;
    uint64_t thousandths = seconds ? microseconds / 1000 : microseconds;
    output_unsigned(output, thousandths / 1000);
    output_byte(output, '.');
    output_padded(output, thousandths % 1000, 3);
    output_text(output, seconds ? " s" : " ms");
}

void text_count(struct output *output, uint64_t number, const char *word)
{
    output_unsigned(output, number);
    output_byte(output, ' ');
    output_text(output, word);
    if (number != 1)
        output_byte(output, 's');
}

size_t text_length(const char *name)
{
    size_t length = strlen(name);
    return length < PATH_MAX ? length : PATH_MAX;
}
