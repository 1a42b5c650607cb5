#include "json.h"

#include "utf8.h"

#define LITERAL(output, text) output_bytes(output, text, sizeof(text) - 1)

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void json_string(struct output *output, const char *bytes, size_t count)
{
    output_byte(output, '"');
    for (size_t at = 0; at < count;) {
        size_t from = at;
        while (at < count && is_plain((unsigned char)bytes[at]))
            at++;
        output_bytes(output, bytes + from, at - from);
        if (at == count)
            break;
        unsigned char byte = (unsigned char)bytes[at];
        uint32_t character;
        size_t length = utf8_decode(bytes + at, count - at, &character);
        if (byte == '"' || byte == '\\') {
            output_byte(output, '\\');
            output_byte(output, bytes[at]);
        } else if (byte < 0x20 || byte == 0x7f) {
            output_bytes(output, "\\u00", 4);
            output_byte(output, (char)('0' + (byte >> 4)));
            output_byte(output, "0123456789abcdef"[byte & 0xf]);
        } else if (length == 0) {
            output_bytes(output, "\\ufffd", 6);
        } else {
            output_bytes(output, bytes + at, length);
        }
        at += length == 0 ? 1 : length;
    }
    output_byte(output, '"');
}

void json_name(struct output *output, const char *name)
{
    if (name == NULL) {
        LITERAL(output, "null");
        return;
    }
    output_byte(output, '"');
    output_text(output, name);
    output_byte(output, '"');
}

void json_item(void *context, const char *name)
{
    struct output *output = context;
    output_separate(output, '[', ',');
    json_name(output, name);
}
