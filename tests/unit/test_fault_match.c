#include "draw.h"
#include "fault_match.h"
#include "tests/blank_rule.h"
#include "trace/fault_rules.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

static struct recvshim_rule rule(enum recvshim_action action)
{
    return (struct recvshim_rule){.calls = RECVSHIM_RULE_EVERY_CALL, .action = (uint8_t)action, NO_OPTIONS};
}

static struct recvshim_address address(int family, const char *text, uint16_t port)
{
    struct recvshim_address address = {.family = (uint16_t)family, .port = port};
    cr_assert_eq(inet_pton(family, text, address.bytes), 1);
    return address;
}

static void add_peer(struct recvshim_rule *one, const char *text, uint8_t bits)
{
    one->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    one->peer_bits = bits;
    cr_assert_eq(inet_pton(one->family, text, one->peer), 1);
}

/* What a rule may leave out, one thing at a time. */
Test(fault_match, selects)
{
    struct sockaddr_storage name;
    struct call call = {.which = RECVSHIM_CALL_RECVFROM, .fd = 5, .address = (struct sockaddr *)&name};
    struct fault_facts facts = {.call = &call,
                                .type = SOCK_STREAM,
                                .has_peer = true,
                                .peer = address(AF_INET, "10.1.2.3", 80),
                                .origin = 7,
                                .received = 100};
    struct recvshim_rule all = rule(RECVSHIM_ACTION_ERROR), one;
#define EXPECT(selected, ...)                                                                                          \
    do {                                                                                                               \
        one = all;                                                                                                     \
        __VA_ARGS__;                                                                                                   \
        cr_expect_eq(fault_selects(&one, &facts), selected, #__VA_ARGS__);                                             \
    } while (0)
    EXPECT(true, (void)0);
    EXPECT(true, one.calls = 1U << RECVSHIM_CALL_RECVFROM);
    EXPECT(false, one.calls = 1U << RECVSHIM_CALL_RECV);
    EXPECT(true, one.fd = 5);
    EXPECT(false, one.fd = 0);
    EXPECT(true, one.origin = 7);
    EXPECT(false, one.origin = 8);
    EXPECT(true, one.after = 100);
    EXPECT(false, one.after = 101);
    EXPECT(true, one.type = SOCK_STREAM);
    EXPECT(false, one.type = SOCK_DGRAM);
    EXPECT(true, one.port = 80);
    EXPECT(false, one.port = 81);
#define PEER(text, bits) add_peer(&one, text, bits)
    EXPECT(true, PEER("10.1.2.3", 32));
    EXPECT(false, PEER("10.1.2.2", 32));
    EXPECT(true, PEER("10.1.2.2", 31));
    EXPECT(true, PEER("10.0.0.0", 8));
    EXPECT(true, PEER("10.1.2.128", 24));
    EXPECT(false, PEER("10.1.130.0", 17));
    EXPECT(true, PEER("0.0.0.0", 0));
    EXPECT(false, PEER("::", 0));
    facts.peer = address(AF_INET6, "::ffff:10.1.2.3", 80);
    EXPECT(true, PEER("10.1.2.3", 32));
    EXPECT(true, PEER("::", 0));
    facts.peer = address(AF_INET6, "fe80::1", 80);
    EXPECT(true, PEER("fe80::", 10));
    EXPECT(false, PEER("fec0::", 10));
    EXPECT(false, PEER("0.0.0.0", 0));
    facts.has_peer = false;
    EXPECT(false, one.port = 80);
    EXPECT(true, (void)0);
    facts.has_peer = true;
    facts.peer = (struct recvshim_address){.family = AF_UNIX};
    EXPECT(false, PEER("0.0.0.0", 0));
}

/* An action counts what it can act on, and leaves the rest to the rules behind it. */
Test(fault_match, acts_on)
{
    enum { STREAM = 1, SEQPACKET = 2, DGRAM = 4, RAW = 8, UNKNOWN = 16, ALL = 31 };
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW, 0};
    static const struct {
        int of_data, of_the_error_queue;
    } expected[RECVSHIM_ACTIONS] = {
        [RECVSHIM_ACTION_ERROR] = {ALL, ALL},
        [RECVSHIM_ACTION_EOF] = {STREAM | SEQPACKET, 0},
        [RECVSHIM_ACTION_SHORT] = {STREAM, 0},
        [RECVSHIM_ACTION_DELAY] = {ALL, ALL},
        [RECVSHIM_ACTION_INTERRUPT] = {ALL, ALL},
        [RECVSHIM_ACTION_TRUNCATE] = {DGRAM | RAW, 0},
        [RECVSHIM_ACTION_DROP] = {DGRAM | RAW, 0},
        [RECVSHIM_ACTION_CORRUPT] = {ALL, 0},
        [RECVSHIM_ACTION_SCOPE] = {ALL & ~STREAM, ALL & ~STREAM},
    };
    struct sockaddr_storage name;
    for (int action = 0; action < RECVSHIM_ACTIONS; action++) {
        struct recvshim_rule one = rule((enum recvshim_action)action);
        for (int i = 0; i < 5; i++) {
            struct call call = {.which = RECVSHIM_CALL_RECVFROM, .address = (struct sockaddr *)&name};
            struct fault_facts facts = {.call = &call, .type = types[i]};
            cr_expect_eq(fault_selects(&one, &facts), expected[action].of_data >> i & 1, "%d, type %d", action, i);
            call.flags = MSG_ERRQUEUE;
            cr_expect_eq(fault_selects(&one, &facts), expected[action].of_the_error_queue >> i & 1, "%d, type %d",
                         action, i);
            call.flags = MSG_OOB;
            cr_expect_eq(fault_selects(&one, &facts), expected[action].of_the_error_queue >> i & 1, "%d, type %d",
                         action, i);
        }
        bool asks = expected[action].of_data != ALL;
        cr_expect_eq(fault_asks_type(&one), asks, "%d", action);
        one.type = SOCK_DGRAM;
        cr_expect(fault_asks_type(&one));
    }
    struct call no_address = {.which = RECVSHIM_CALL_RECVFROM};
    struct recvshim_rule scope = rule(RECVSHIM_ACTION_SCOPE);
    cr_expect_not(fault_selects(&scope, &(struct fault_facts){.call = &no_address, .type = SOCK_DGRAM}));
}

Test(fault_match, is_due)
{
    static const struct {
        uint64_t first, last, step;
        const char *hits; /* of the first ten */
    } rows[] = {
        {1, UINT64_MAX, 1, "xxxxxxxxxx"}, {3, 3, 1, "..x......."}, {3, UINT64_MAX, 1, "..xxxxxxxx"},
        {3, UINT64_MAX, 3, "..x..x..x."}, {2, 5, 1, ".xxxx....."}, {2, 7, 2, ".x.x.x...."},
        {2, 8, 3, ".x..x..x.."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_rule one = rule(RECVSHIM_ACTION_EOF);
        one.first = rows[i].first, one.last = rows[i].last, one.step = rows[i].step;
        for (uint64_t count = 1; count <= 10; count++)
            cr_expect_eq(fault_is_due(&one, count), rows[i].hits[count - 1] == 'x', "row %zu, %d", i, (int)count);
        cr_expect_not(fault_is_due(&one, 0));
        cr_expect_eq(fault_rule_is_always_due(&one), i == 0);
    }
}

/* All choices follow from four numbers, and each of them matters. */
Test(fault_match, keys_differ)
{
    uint64_t keys[256];
    int count = 0;
    for (uint64_t seed = 0; seed < 4; seed++)
        for (uint32_t number = 1; number < 5; number++)
            for (uint64_t origin = 1; origin < 5; origin++)
                for (uint64_t ordinal = 1; ordinal < 5; ordinal++)
                    keys[count++] = fault_key(seed, number, origin, ordinal);
    for (int i = 0; i < count; i++)
        for (int n = 0; n < i; n++)
            cr_assert_neq(keys[i], keys[n]);
    cr_expect_eq(fault_key(1, 2, 3, 4), fault_key(1, 2, 3, 4));
}

/* Far from the edges of a binomial distribution: this seed passes, and so does nearly every other. */
Test(fault_match, happens_as_often_as_it_should)
{
    static const uint32_t chances[] = {1000, 10000000, 250000000, 500000000, 999000000};
    const double calls = 1000000;
    for (size_t i = 0; i < sizeof chances / sizeof chances[0]; i++) {
        struct recvshim_rule one = rule(RECVSHIM_ACTION_EOF);
        one.chance = chances[i];
        double hits = 0, expected = calls * chances[i] / RECVSHIM_CHANCE_ALWAYS;
        for (uint64_t ordinal = 1; ordinal <= (uint64_t)calls; ordinal++)
            hits += fault_happens(&one, fault_key(42, 1, 99, ordinal));
        double variance = expected * (1 - chances[i] / 1e9);
        cr_expect_lt((hits - expected) * (hits - expected), 25 * variance + 25, "%u: %g", chances[i], hits);
    }
    struct recvshim_rule always = rule(RECVSHIM_ACTION_EOF);
    cr_expect(fault_happens(&always, 0) && fault_happens(&always, UINT64_MAX));
    cr_expect(draw_hits(UINT64_MAX, RECVSHIM_CHANCE_ALWAYS) && !draw_hits(UINT64_MAX, RECVSHIM_CHANCE_ALWAYS - 1));
}

/* Each value of a range about as often: chi-squared with 6 degrees of freedom, far beyond its 99.99 % point of 27.9. */
Test(fault_match, values_are_even)
{
    struct recvshim_rule one = rule(RECVSHIM_ACTION_SHORT);
    one.low = 1, one.high = 7;
    double seen[7] = {0}, chi = 0;
    for (uint64_t ordinal = 1; ordinal <= 70000; ordinal++) {
        uint64_t value = fault_value(&one, fault_key(42, 1, 99, ordinal));
        cr_assert(value >= 1 && value <= 7);
        seen[value - 1]++;
    }
    for (int i = 0; i < 7; i++)
        chi += (seen[i] - 10000) * (seen[i] - 10000) / 10000;
    cr_expect_lt(chi, 27.9);
    one.high = 1;
    cr_expect_eq(fault_value(&one, 12345), 1);
    cr_expect_eq(draw_between(5, 0, UINT64_MAX), 5);
}

static size_t bits_of(const uint8_t *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += (size_t)__builtin_popcount(data[i]);
    return count;
}

static void flip(uint8_t *data, size_t size, uint64_t bits, uint64_t draw)
{
    for (uint64_t i = 0; i < fault_bits(size, bits); i++) {
        uint64_t bit = fault_bit(size, bits, draw, i);
        data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

Test(fault_match, flips_just_so_many_bits)
{
    for (size_t size = 0; size < 20; size++) {
        for (uint64_t bits = 0; bits < 200; bits += 7) {
            uint8_t data[24] = {0}, again[24] = {0};
            flip(data, size, bits, 77);
            cr_expect_eq(bits_of(data, size), bits < size * 8 ? bits : size * 8, "%zu, %d", size, (int)bits);
            cr_expect_eq(bits_of(data + size, sizeof data - size), 0, "beyond its end");
            flip(again, size, bits, 77);
            cr_expect_arr_eq(data, again, sizeof data);
        }
    }
    uint8_t one[64] = {0}, other[64] = {0};
    flip(one, sizeof one, 20, 1);
    flip(other, sizeof other, 20, 2);
    cr_expect_neq(memcmp(one, other, sizeof one), 0);
}

Test(fault_match, draws_are_the_rules_own_or_the_seeds)
{
    struct recvshim_rule one = rule(RECVSHIM_ACTION_CORRUPT);
    cr_expect_neq(fault_draw(&one, 1), fault_draw(&one, 2));
    cr_expect_neq(fault_draw(&one, 1), 0);
    one.draw = 5;
    cr_expect_eq(fault_draw(&one, 1), 5);
}
