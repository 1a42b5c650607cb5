#include "json_event.h"

#include "json.h"
#include "text.h"

void json_flags(struct output *output, uint32_t flags)
{
    output_byte(output, '[');
    flags_for_each(flags, json_item, output);
    output_byte(output, ']');
}

void json_signals(struct output *output, const struct interruption *interruption)
{
    if (interruption->certainty == CERTAINTY_UNKNOWN) {
        LITERAL(output, "null");
        return;
    }
    output_byte(output, '[');
    signals_for_each(interruption->signals, json_item, output);
    output_byte(output, ']');
}

void json_actions(struct output *output, uint32_t actions)
{
    output_byte(output, '[');
    actions_for_each(actions, json_item, output);
    output_byte(output, ']');
}

static void add_hex(struct output *output, uint64_t number)
{
    output_byte(output, '"');
    output_hex(output, number);
    output_byte(output, '"');
}

void json_fault(struct output *output, const struct injection *fault)
{
    if (fault == NULL) {
        LITERAL(output, "null");
        return;
    }
    LITERAL(output, "{\"rule\":");
    output_unsigned(output, fault->rule);
    LITERAL(output, ",\"action\":");
    json_name(output, action_name(fault->action));
    LITERAL(output, ",\"value\":");
    if (fault->has_value)
        output_unsigned(output, fault->value);
    else
        LITERAL(output, "null");
    LITERAL(output, ",\"ordinal\":");
    output_unsigned(output, fault->ordinal);
    LITERAL(output, ",\"origin\":");
    add_hex(output, fault->origin);
    LITERAL(output, ",\"draw\":");
    if (fault->draw != 0)
        add_hex(output, fault->draw);
    else
        LITERAL(output, "null");
    output_byte(output, '}');
}

void json_certain(struct output *output, enum certainty certainty)
{
    static const char *const words[] = {
        [CERTAINTY_UNKNOWN] = "null", [CERTAINTY_CANDIDATES] = "false", [CERTAINTY_EXACT] = "true"};
    output_text(output, words[certainty]);
}

void json_tcp(struct output *output, const struct recvshim_tcp *tcp)
{
    if (tcp == NULL) {
        LITERAL(output, "null");
        return;
    }
    LITERAL(output, "{\"state\":\"");
    output_text(output, tcp_state_name(tcp->state));
    LITERAL(output, "\",\"rtt_us\":");
    output_unsigned(output, tcp->rtt);
    LITERAL(output, ",\"retransmits\":");
    output_unsigned(output, tcp->retransmits);
    LITERAL(output, ",\"unacked\":");
    output_unsigned(output, tcp->unacked);
    output_byte(output, '}');
}
