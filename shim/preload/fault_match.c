#include "fault_match.h"

#include "draw.h"

#include "trace/calls.h"
#include "trace/fault_grammar.h"

#include <string.h>

/* What an action can do nothing to it leaves to the rules behind it. The error queue and urgent data are not the
 * socket's data: they can fail, or come late. A socket of a type that is not known has bit 0. */
static bool can_act(const struct recvshim_rule *rule, const struct fault_facts *facts)
{
    const struct fault_action *action = &fault_actions[rule->action];
    const struct call *call = facts->call;
    bool is_data = (call->flags & (MSG_ERRQUEUE | MSG_OOB)) == 0;
    bool has_address = call->address != NULL && (CALLS_WITH_ADDRESS >> call->which & 1U) != 0;
    return (is_data || (action->needs & FAULT_NEEDS_DATA) == 0) &&
           (has_address || (action->needs & FAULT_NEEDS_ADDRESS) == 0) &&
           ((call->flags & MSG_PEEK) == 0 || (action->needs & FAULT_NEEDS_TAKING) == 0) &&
           (action->types >> (facts->type > 0 ? facts->type : 0) & 1U) != 0;
}

bool fault_asks_type(const struct recvshim_rule *rule)
{
    return rule->type != 0 || fault_actions[rule->action].types != UINT32_MAX;
}

/* An IPv4 address also as IPv6 sockets have it, ::ffff:1.2.3.4 (RFC 4291, 2.5.5.2). */
static const uint8_t *address_bytes(const struct recvshim_address *address, uint16_t family)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (address->family == family)
        return address->bytes;
    if (family == AF_INET && address->family == AF_INET6 && memcmp(address->bytes, mapped, sizeof mapped) == 0)
        return address->bytes + sizeof mapped;
    return NULL;
}

static bool agrees(const uint8_t *address, const uint8_t *with, unsigned int bits)
{
    unsigned int whole = bits / 8, rest = bits % 8;
    return memcmp(address, with, whole) == 0 &&
           (rest == 0 || ((address[whole] ^ with[whole]) & (0xff00U >> rest) & 0xffU) == 0);
}

bool fault_agrees(const struct recvshim_rule *rule, const struct recvshim_address *peer)
{
    if (!fault_asks_peer(rule))
        return true;
    if (rule->port != 0 && rule->port != peer->port)
        return false;
    if (rule->family == 0)
        return peer->family == AF_INET || peer->family == AF_INET6;
    const uint8_t *bytes = address_bytes(peer, rule->family);
    return bytes != NULL && agrees(bytes, rule->peer, rule->peer_bits);
}

bool fault_selects(const struct recvshim_rule *rule, const struct fault_facts *facts)
{
    const struct call *call = facts->call;
    return (rule->calls >> call->which & 1U) != 0 && (rule->fd < 0 || rule->fd == call->fd) &&
           (rule->origin == 0 || rule->origin == facts->origin) && rule->after <= facts->received &&
           (rule->type == 0 || rule->type == facts->type) && can_act(rule, facts) &&
           (!fault_asks_peer(rule) || (facts->has_peer && fault_agrees(rule, &facts->peer)));
}

uint64_t fault_key(uint64_t seed, uint32_t number, uint64_t origin, uint64_t ordinal)
{
    return draw_of(draw_of(draw_of(seed, number), origin), ordinal);
}

enum { HAPPENS = 1, VALUE, DRAW };

bool fault_happens(const struct recvshim_rule *rule, uint64_t key)
{
    return rule->chance >= RECVSHIM_CHANCE_ALWAYS || draw_hits(draw_of(key, HAPPENS), rule->chance);
}

uint64_t fault_value(const struct recvshim_rule *rule, uint64_t key)
{
    return rule->low == rule->high ? rule->low : draw_between(draw_of(key, VALUE), rule->low, rule->high);
}

uint64_t fault_draw(const struct recvshim_rule *rule, uint64_t key)
{
    uint64_t draw = rule->draw != 0 ? rule->draw : draw_of(key, DRAW);
    return draw != 0 ? draw : 1;
}

static uint64_t bits_of(size_t size)
{
    const uint64_t bytes = size;
    return bytes < UINT64_MAX / 8 ? bytes * 8 : UINT64_MAX;
}

uint64_t fault_bits(size_t size, uint64_t bits)
{
    return bits < bits_of(size) ? bits : bits_of(size);
}

/* One in each of as many parts of about the same size: none is flipped twice, and none has to be remembered. */
uint64_t fault_bit(size_t size, uint64_t bits, uint64_t draw, uint64_t number)
{
    const uint64_t parts = fault_bits(size, bits), part = bits_of(size) / parts, longer = bits_of(size) % parts;
    const uint64_t begin = number * part + (number < longer ? number : longer);
    return begin + draw_of(draw, number) % (part + (number < longer ? 1 : 0));
}
