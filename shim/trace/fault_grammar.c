#include "fault_grammar.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ---- actions ---- */

#define TYPE(type)    (1U << (type))
#define EVERY_TYPE    UINT32_MAX
#define DATAGRAMS     (TYPE(SOCK_DGRAM) | TYPE(SOCK_RAW))
#define NO_VALUE      NULL, false, 0, 0, "no value"
#define RECEIVE_MAX   UINT64_C(0x7ffff000) /* Linux receives no more at once: MAX_RW_COUNT */
#define TIME_MAX      (UINT64_C(3600) * 1000000000)
#define RECEIVE_BYTES "up to 2147479552, in bytes or with K, M, G"

const struct fault_action fault_actions[] = {
    [RECVSHIM_ACTION_ERROR] = {"error=NAME", &fault_error, false, 1, 4095,
                               "an errno's name such as ECONNRESET, or its number from 1 to 4095", EVERY_TYPE, 0},
    [RECVSHIM_ACTION_EOF] = {"eof", NO_VALUE, TYPE(SOCK_STREAM) | TYPE(SOCK_SEQPACKET), FAULT_NEEDS_DATA},
    [RECVSHIM_ACTION_SHORT] = {"short=N[..M]", &fault_bytes, true, 1, RECEIVE_MAX,
                               "N or N..M from 1 " RECEIVE_BYTES ", M not below N", TYPE(SOCK_STREAM),
                               FAULT_NEEDS_DATA},
    [RECVSHIM_ACTION_DELAY] = {"delay=TIME[..TIME]", &fault_time, true, 0, TIME_MAX,
                               "a time such as 10ms or 1.5s, up to an hour, in ns, us, ms or s, or two such as "
                               "1ms..20ms, the second not below the first",
                               EVERY_TYPE, 0},
    [RECVSHIM_ACTION_INTERRUPT] = {"interrupt=N", &fault_number, false, 1, 1000000, "a number from 1 to 1000000",
                                   EVERY_TYPE, 0},
    [RECVSHIM_ACTION_TRUNCATE] = {"truncate=N", &fault_bytes, false, 0, RECEIVE_MAX, "N from 0 " RECEIVE_BYTES,
                                  DATAGRAMS, FAULT_NEEDS_DATA},
    [RECVSHIM_ACTION_DROP] = {"drop", NO_VALUE, DATAGRAMS, FAULT_NEEDS_DATA | FAULT_NEEDS_TAKING},
    [RECVSHIM_ACTION_CORRUPT] = {"corrupt=N", &fault_number, false, 1, 65536, "a number of bits from 1 to 65536",
                                 EVERY_TYPE, FAULT_NEEDS_DATA},
    [RECVSHIM_ACTION_SCOPE] = {"scope=N", &fault_number, false, 0, UINT32_MAX, "a number from 0 to 4294967295",
                               EVERY_TYPE & ~TYPE(SOCK_STREAM), FAULT_NEEDS_ADDRESS},
};
_Static_assert(sizeof fault_actions / sizeof fault_actions[0] == RECVSHIM_ACTIONS, "each has its row");

/* ---- options that are one number ---- */

static uint64_t get_number(const struct fault_option *option, const struct recvshim_rule *rule)
{
    const char *field = (const char *)rule + option->offset;
    switch (option->size) {
    case sizeof(uint8_t):
        return *(const uint8_t *)field;
    case sizeof(uint16_t):
        return *(const uint16_t *)(const void *)field;
    case sizeof(uint32_t):
        return *(const uint32_t *)(const void *)field;
    default:
        return *(const uint64_t *)(const void *)field;
    }
}

static void set_number(const struct fault_option *option, struct recvshim_rule *rule, uint64_t number)
{
    char *field = (char *)rule + option->offset;
    switch (option->size) {
    case sizeof(uint8_t):
        *(uint8_t *)field = (uint8_t)number;
        break;
    case sizeof(uint16_t):
        *(uint16_t *)(void *)field = (uint16_t)number;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)(void *)field = (uint32_t)number;
        break;
    default:
        *(uint64_t *)(void *)field = number;
    }
}

static bool is_between(const struct fault_option *option, uint64_t number)
{
    return number >= option->least && number <= option->most;
}

static bool read_number(const struct fault_option *option, struct word value, struct recvshim_rule *rule)
{
    uint64_t number;
    if (!option->kind->read(value, &number) || !is_between(option, number))
        return false;
    set_number(option, rule, number);
    return true;
}

static void write_number(const struct fault_option *option, const struct recvshim_rule *rule, struct line *line)
{
    option->kind->write(line, get_number(option, rule));
}

static bool number_is_set(const struct fault_option *option, const struct recvshim_rule *rule)
{
    return get_number(option, rule) != option->unset;
}

static bool number_is_good(const struct fault_option *option, const struct recvshim_rule *rule)
{
    return !number_is_set(option, rule) || is_between(option, get_number(option, rule));
}

static const struct fault_form number_form = {read_number, write_number, number_is_set, number_is_good};

/* ---- when ---- */

static bool take_count(struct word *word, uint64_t *count)
{
    return word_take_number(word, count) && *count >= 1 && *count <= RECVSHIM_COUNT_MAX;
}

static bool take_separator(struct word *word, const char *separator)
{
    size_t length = strlen(separator);
    if (word->length < length || memcmp(word->text, separator, length) != 0)
        return false;
    *word = word_from(*word, length);
    return true;
}

/* As strace's inject has it: F alone is that one, F+ all from there on, F..L+S every Sth from F to L. */
static bool read_when(const struct fault_option *option, struct word value, struct recvshim_rule *rule)
{
    (void)option;
    uint64_t first, last, step = 1;
    if (!take_count(&value, &first))
        return false;
    last = first;
    bool bounded = take_separator(&value, "..");
    if (bounded && (!take_count(&value, &last) || last < first))
        return false;
    if (take_separator(&value, "+")) {
        last = bounded ? last : UINT64_MAX;
        if (value.length != 0 && !take_count(&value, &step))
            return false;
    }
    rule->first = first;
    rule->last = last;
    rule->step = step;
    return value.length == 0;
}

static void write_when(const struct fault_option *option, const struct recvshim_rule *rule, struct line *line)
{
    (void)option;
    bool endless = rule->last == UINT64_MAX;
    line_add_number(line, rule->first);
    if (!endless && (rule->last != rule->first || rule->step != 1)) {
        line_add(line, "..");
        line_add_number(line, rule->last);
    }
    if (endless || rule->step != 1)
        line_add(line, "+");
    if (rule->step != 1)
        line_add_number(line, rule->step);
}

static bool when_is_set(const struct fault_option *option, const struct recvshim_rule *rule)
{
    (void)option;
    return rule->first != fault_rule_unset.first || rule->last != fault_rule_unset.last ||
           rule->step != fault_rule_unset.step;
}

static bool when_is_good(const struct fault_option *option, const struct recvshim_rule *rule)
{
    (void)option;
    return rule->first >= 1 && rule->first <= RECVSHIM_COUNT_MAX && rule->step >= 1 &&
           rule->step <= RECVSHIM_COUNT_MAX && rule->last >= rule->first &&
           (rule->last <= RECVSHIM_COUNT_MAX || rule->last == UINT64_MAX);
}

static const struct fault_form when_form = {read_when, write_when, when_is_set, when_is_good};

/* ---- peer ---- */

static unsigned int bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

/* Of the address, those beyond the first `bits`. */
static void clear_beyond(uint8_t address[16], unsigned int bits)
{
    for (unsigned int byte = bits / 8; byte < 16; byte++)
        address[byte] &= (uint8_t)(byte == bits / 8 ? ~(0xffU >> bits % 8) : 0);
}

/* Take what stands before /BITS: an IPv4 address, or an IPv6 address in brackets. */
static bool take_address(struct word *word, struct recvshim_rule *rule)
{
    char text[INET6_ADDRSTRLEN] = "";
    bool bracket = take_separator(word, "[");
    size_t length = 0;
    while (length < word->length && word->text[length] != (bracket ? ']' : '/'))
        length++;
    if (length >= sizeof text)
        return false;
    memcpy(text, word->text, length);
    *word = word_from(*word, length);
    rule->family = bracket ? AF_INET6 : AF_INET;
    return (!bracket || take_separator(word, "]")) && inet_pton(rule->family, text, rule->peer) == 1;
}

static bool read_peer(const struct fault_option *option, struct word value, struct recvshim_rule *rule)
{
    (void)option;
    if (!take_address(&value, rule))
        return false;
    uint64_t bits = bits_of(rule->family);
    if (take_separator(&value, "/") && (!word_take_number(&value, &bits) || bits > bits_of(rule->family)))
        return false;
    rule->peer_bits = (uint8_t)bits;
    clear_beyond(rule->peer, rule->peer_bits);
    return value.length == 0;
}

static void write_peer(const struct fault_option *option, const struct recvshim_rule *rule, struct line *line)
{
    (void)option;
    char text[INET6_ADDRSTRLEN] = "";
    bool bracket = rule->family == AF_INET6;
    inet_ntop(rule->family, rule->peer, text, sizeof text);
    line_add(line, bracket ? "[" : "");
    line_add(line, text);
    line_add(line, bracket ? "]" : "");
    if (rule->peer_bits == bits_of(rule->family))
        return;
    line_add(line, "/");
    line_add_number(line, rule->peer_bits);
}

static bool peer_is_set(const struct fault_option *option, const struct recvshim_rule *rule)
{
    (void)option;
    return rule->family != fault_rule_unset.family;
}

static bool peer_is_good(const struct fault_option *option, const struct recvshim_rule *rule)
{
    bool set = peer_is_set(option, rule);
    if (set && rule->family != AF_INET && rule->family != AF_INET6)
        return false;
    uint8_t kept[16];
    memcpy(kept, rule->peer, sizeof kept);
    clear_beyond(kept, rule->peer_bits);
    return rule->peer_bits <= (set ? bits_of(rule->family) : 0) && memcmp(kept, rule->peer, sizeof kept) == 0;
}

static const struct fault_form peer_form = {read_peer, write_peer, peer_is_set, peer_is_good};

/* ---- options ---- */

#define FIELD(name)  offsetof(struct recvshim_rule, name), sizeof((struct recvshim_rule){0}.name)
#define NO_FIELD     NULL, 0, 0, 0, 0, 0
#define COUNT_TEXT   "1 to 1099511627775"
#define UNSET_FD     UINT32_MAX /* -1, as 32 bits */
#define HEX_EXPECTED "1 to 16 hexadecimal digits, not all 0"

const struct recvshim_rule fault_rule_unset = {.first = 1,
                                               .last = UINT64_MAX,
                                               .step = 1,
                                               .chance = RECVSHIM_CHANCE_ALWAYS,
                                               .fd = -1,
                                               .counter = RECVSHIM_NO_COUNTER};

const struct fault_option fault_options[FAULT_OPTIONS] = {
    {"when", "when=FIRST[..LAST][+[STEP]]",
     "FIRST, FIRST+, FIRST+STEP, FIRST..LAST or FIRST..LAST+STEP, each " COUNT_TEXT ", LAST not below FIRST",
     &when_form, NO_FIELD},
    {"p", "p=CHANCE", "a decimal above 0 and up to 1, such as 0.01, of nine decimals at most", &number_form,
     &fault_chance, FIELD(chance), RECVSHIM_CHANCE_ALWAYS, 1, RECVSHIM_CHANCE_ALWAYS},
    {"after", "after=BYTES", "a number up to 1099511627775, in bytes or with K, M, G", &number_form, &fault_bytes,
     FIELD(after), 0, 0, RECVSHIM_COUNT_MAX},
    {"times", "times=N", "a number from " COUNT_TEXT, &number_form, &fault_number, FIELD(times), 0, 1,
     RECVSHIM_COUNT_MAX},
    {"per", "per=process|connection|trace", "process, connection or trace", &number_form, &fault_per, FIELD(per),
     RECVSHIM_PER_PROCESS, 0, RECVSHIM_PERS - 1},
    {"fd", "fd=N", "a descriptor, 0 to 2147483647", &number_form, &fault_number, FIELD(fd), UNSET_FD, 0, INT32_MAX},
    {"type", "type=stream|dgram", "stream or dgram", &number_form, &fault_type, FIELD(type), 0, 1, 2},
    {"peer", "peer=ADDRESS[/BITS]",
     "an address such as 10.0.0.1 or [fe80::1], IPv6 in brackets and without a zone, or a network such as 10.0.0.0/8",
     &peer_form, NO_FIELD},
    {"port", "port=N", "the peer's port, 1 to 65535", &number_form, &fault_number, FIELD(port), 0, 1, UINT16_MAX},
    {"origin", "origin=HEX", HEX_EXPECTED, &number_form, &fault_hex, FIELD(origin), 0, 1, UINT64_MAX},
    {"draw", "draw=HEX", HEX_EXPECTED, &number_form, &fault_hex, FIELD(draw), 0, 1, UINT64_MAX},
};
_Static_assert(SOCK_STREAM + SOCK_DGRAM == 3, "the two are 1 and 2, everywhere");
