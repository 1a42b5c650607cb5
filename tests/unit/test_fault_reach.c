/* Which rules are refused because an earlier one always acts first. */
#include "trace/fault_reach.h"
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct fault_rules rules;
static char problem[FAULT_PROBLEM_MAX];

static void expect_refused(const char *earlier, const char *later, bool refused)
{
    char text[256], expected[256];
    snprintf(text, sizeof text, "%s;%s", earlier, later);
    snprintf(expected, sizeof expected, "rule 2 '%s' can never act: rule 1 '%s' always acts first", later, earlier);
    cr_expect_neq(fault_rules_parse(text, &rules, problem), refused, "%s", text);
    if (refused)
        cr_expect_str_eq(problem, expected);
}

struct row {
    const char *earlier, *later;
    bool refused;
};

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_refused(rows[i].earlier, rows[i].later, rows[i].refused);
}

Test(fault_reach, what_is_selected)
{
    static const struct row rows[] = {
        {"recv:error=EIO", "recv:eof", true},
        {"recv:error=EIO", "recvfrom:eof", false},
        {"recv:error=EIO", "recv,recvfrom:eof", false},
        {"recv:error=EIO", "*:eof", false},
        {"*:error=EIO", "recvfrom:eof", true},
        {"recv,recvfrom,recvmsg,recvmmsg,read,readv:error=EIO", "*:eof", true},
        {"recv,recvfrom,recvmsg,recvmmsg,read:error=EIO", "*:eof", false},
        {"*:error=EIO:fd=3", "*:eof", false},
        {"*:error=EIO:fd=3", "*:eof:fd=3", true},
        {"*:error=EIO:fd=0", "*:eof:fd=3", false},
        {"*:error=EIO", "*:eof:fd=0", true},
        {"*:error=EIO:port=3", "*:eof", false},
        {"*:error=EIO:port=3", "*:eof:port=3", true},
        {"*:error=EIO:port=3", "*:eof:port=4", false},
        {"*:error=EIO:origin=3", "*:eof", false},
        {"*:error=EIO:origin=3", "*:eof:origin=3", true},
        {"*:error=EIO:origin=3", "*:eof:origin=4", false},
        {"*:error=EIO:after=3", "*:eof", false},
        {"*:error=EIO:after=3", "*:eof:after=2", false},
        {"*:error=EIO:after=3", "*:eof:after=3", true},
        {"*:error=EIO:after=3", "*:eof:after=4", true},
        {"*:error=EIO:peer=10.0.0.0/8", "*:eof", false},
        {"*:error=EIO", "*:eof:peer=10.0.0.0/8", true},
        {"*:error=EIO:peer=10.0.0.0/8", "*:eof:peer=10.2.0.0/16", true},
        {"*:error=EIO:peer=10.0.0.0/8", "*:eof:peer=10.0.0.0/8:port=1", true},
        {"*:error=EIO:peer=10.0.0.0/8", "*:eof:peer=10.0.0.0/7", false},
        {"*:error=EIO:peer=10.0.0.0/8", "*:eof:peer=11.0.0.0/8", false},
        {"*:error=EIO:peer=10.64.0.0/11", "*:eof:peer=10.95.0.0/16", true},
        {"*:error=EIO:peer=10.64.0.0/11", "*:eof:peer=10.96.0.0/16", false},
        {"*:error=EIO:peer=0.0.0.0/0", "*:eof:peer=10.2.0.0/16", true},
        {"*:error=EIO:peer=0.0.0.0/0", "*:eof:peer=[::]/0", false},
        {"*:error=EIO:peer=[::]/0", "*:eof:peer=10.0.0.1", false},
        {"*:error=EIO:peer=[fe80::]/10", "*:eof:peer=[febf::1]", true},
        {"*:error=EIO:peer=[fe80::1]", "*:eof:peer=[fe80::1]", true},
        {"*:error=EIO:peer=[fe80::1]", "*:eof:peer=[fe80::2]", false},
        {"*:error=EIO:type=stream", "*:error=EPIPE", false},
        {"*:error=EIO:type=stream", "*:error=EPIPE:type=stream", true},
        {"*:error=EIO:type=stream", "*:error=EPIPE:type=dgram", false},
    };
    expect_rows(rows, sizeof rows / sizeof rows[0]);
}

/* An action leaves what it cannot act on to the rules behind it. */
Test(fault_reach, what_actions_act_on)
{
    static const struct row rows[] = {
        {"*:error=EIO:type=stream", "*:short=1", true},
        {"*:error=EIO:type=stream", "*:eof", false}, /* of SOCK_SEQPACKET */
        {"*:error=EIO:type=stream", "*:eof:type=stream", true},
        {"*:error=EIO:type=dgram", "*:drop", false}, /* of SOCK_RAW */
        {"*:error=EIO:type=dgram", "*:drop:type=dgram", true},
        {"*:eof", "*:short=1", true},
        {"*:short=1", "*:eof", false},
        {"*:short=1", "*:eof:type=stream", true},
        {"*:short=1", "*:error=EIO", false},
        {"*:short=1", "*:error=EIO:type=stream", false}, /* of MSG_OOB */
        {"*:short=1", "*:corrupt=1", false},
        {"*:short=1", "*:corrupt=1:type=stream", true},
        {"*:short=1", "*:short=2", true},
        {"*:short=1", "*:truncate=1", false},
        {"*:drop", "*:truncate=1", false}, /* of MSG_PEEK */
        {"*:truncate=1", "*:drop:type=dgram", true},
        {"*:drop", "*:corrupt=1", false},
        {"*:corrupt=1", "*:drop", true},
        {"*:corrupt=1", "*:error=EIO", false},
        {"*:corrupt=1", "*:interrupt=1", false},
        {"*:interrupt=1", "*:error=EIO", true},
        {"*:error=EIO", "*:scope=1", true},
        {"recvfrom,recvmsg,recvmmsg:error=EIO", "*:scope=1", true},
        {"recvfrom:error=EIO", "*:scope=1", false},
        {"*:scope=1", "*:error=EIO", false},
        {"*:scope=1", "recvfrom:corrupt=1:type=dgram", false}, /* of no address */
        {"*:scope=1", "recvfrom:scope=2", true},
        {"recvfrom,recvmsg,recvmmsg:scope=1", "*:scope=2", true},
    };
    expect_rows(rows, sizeof rows / sizeof rows[0]);
}

Test(fault_reach, what_is_certain)
{
    static const struct row rows[] = {
        {"*:delay=1s", "*:delay=1s", false},
        {"*:delay=1s", "*:eof", false},
        {"*:error=EIO", "*:delay=1s", false},
        {"*:eof:p=0.999999999", "*:eof", false},
        {"*:eof:p=1", "*:eof:p=0.1", true},
        {"*:eof:times=1000000", "*:eof", false},
        {"*:eof", "*:eof:times=1", true},
        {"*:eof:per=trace", "*:eof:per=connection", true},
        {"*:eof", "*:eof:when=5:per=connection:times=2:p=0.5:fd=3", true},
        {"*:eof:when=1..5", "*:eof", false},
        {"*:eof:when=1..5", "*:eof:when=6+", false},
        {"*:eof:when=1..5", "*:eof:when=5+", false},
        {"*:eof:when=1..5", "*:eof:when=2", true},
        {"*:eof:when=1..5", "*:eof:when=2:per=trace", false},
        {"*:eof:when=1..5:per=trace", "*:eof:when=2:per=trace", true},
        {"*:eof:when=1..5:per=connection", "*:eof:when=2:per=connection:p=0.5", true},
        {"*:eof:when=1..5", "*:eof:when=2:fd=3", false},
        {"*:eof:when=1..5:fd=3", "*:eof:when=2:fd=3", true},
        {"*:eof:when=1..5:after=3", "*:eof:when=2:after=4", false},
        {"*:eof:when=1..5", "recv:eof:when=2", false},
        {"*:eof:when=1..5", "recv,recvfrom,recvmsg,recvmmsg,read,readv:eof:when=2", true},
        {"*:error=EIO:when=1..5", "*:eof:when=2", false},
        {"*:error=EIO:when=1..5:type=stream", "*:short=1:when=2", false}, /* MSG_OOB counts for the first alone */
        {"*:eof:when=1..5:type=stream", "*:short=1:when=2", true},
        {"*:eof:when=2+", "*:eof:when=2+", true},
        {"*:eof:when=3+", "*:eof:when=2", false},
        {"*:eof:when=2+", "*:eof:when=3..9+2", true},
        {"*:eof:when=3..9+2", "*:eof:when=2", false},
        {"*:eof:when=3..9+2", "*:eof:when=4", false},
        {"*:eof:when=3..9+2", "*:eof:when=5", true},
        {"*:eof:when=3..9+2", "*:eof:when=5..9+4", true},
        {"*:eof:when=3..9+2", "*:eof:when=5..10+4", true}, /* 5 and 9 */
        {"*:eof:when=3..9+2", "*:eof:when=5..13+4", false},
        {"*:eof:when=3..9+2", "*:eof:when=5..7", false},
        {"*:eof:when=3..9+2", "*:eof:when=5..5", true},
        {"*:eof:when=3..9+2", "*:eof:when=9..100+91", false}, /* 9 and 100 */
        {"*:eof:when=3..9+2", "*:eof:when=9..100+92", true},  /* 9 alone */
        {"*:eof:when=3+2", "*:eof:when=5+4", true},
        {"*:eof:when=3+2", "*:eof:when=5+3", false},
        {"*:eof:when=3+2", "*:eof:when=3+", false},
        {"*:eof:when=3..1000+2", "*:eof:when=5+4", false},
    };
    expect_rows(rows, sizeof rows / sizeof rows[0]);
}

Test(fault_reach, the_rules_are_named)
{
    cr_expect_not(fault_rules_parse("# first\n*:delay=1s; recv:error=EIO ;recvfrom:eof:p=0.1\n\n;recv:eof:fd=7;*:drop",
                                    &rules, problem));
    cr_expect_str_eq(problem, "rule 4 'recv:eof:fd=7' can never act: rule 2 'recv:error=EIO' always acts first");
    char text[1000];
    snprintf(text, sizeof text, "*:eof;*:eof:fd=%0200d;*:drop", 3);
    cr_expect_not(fault_rules_parse(text, &rules, problem));
    cr_expect_eq(strspn(strchr(problem, '0'), "0"), 91, "of a hundred characters: %s", problem);
    cr_expect_not_null(strstr(problem, "00...' can never act: rule 1 '*:eof' always acts first"), "%s", problem);
}

/* ---- the same by trial ---- */

struct receive {
    uint32_t call;
    int type;
    bool data, addressed;
    int fd;
    uint16_t family, port;
    uint8_t last_byte;
    uint64_t origin, received;
};

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*state >> 33) % below;
}

static struct receive draw_receive(uint64_t *state)
{
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
    struct receive receive = {.call = draw(state, RECVSHIM_CALLS),
                              .type = types[draw(state, 5)],
                              .data = draw(state, 4) != 0,
                              .fd = 3 + (int)draw(state, 2),
                              .family = draw(state, 2) != 0 ? AF_INET : AF_INET6,
                              .port = (uint16_t)(1 + draw(state, 2)),
                              .last_byte = (uint8_t)draw(state, 4),
                              .origin = 1 + draw(state, 2),
                              .received = draw(state, 3)};
    receive.addressed = receive.call != RECVSHIM_CALL_RECV && receive.call != RECVSHIM_CALL_READ &&
                        receive.call != RECVSHIM_CALL_READV && draw(state, 2) != 0;
    return receive;
}

/* What each action can do something to, as README and trace.h have it. */
static bool can_act(const struct recvshim_rule *rule, const struct receive *receive)
{
    switch (rule->action) {
    case RECVSHIM_ACTION_EOF:
        return receive->data && (receive->type == SOCK_STREAM || receive->type == SOCK_SEQPACKET);
    case RECVSHIM_ACTION_SHORT:
        return receive->data && receive->type == SOCK_STREAM;
    case RECVSHIM_ACTION_TRUNCATE:
    case RECVSHIM_ACTION_DROP:
        return receive->data && (receive->type == SOCK_DGRAM || receive->type == SOCK_RAW);
    case RECVSHIM_ACTION_CORRUPT:
        return receive->data;
    case RECVSHIM_ACTION_SCOPE:
        return receive->addressed;
    default:
        return true;
    }
}

static bool selects(const struct recvshim_rule *rule, const struct receive *receive)
{
    bool peer = rule->family == 0 ||
                (rule->family == receive->family && (rule->peer_bits != 32 || rule->peer[3] == receive->last_byte) &&
                 (rule->peer_bits != 31 || rule->peer[3] == (receive->last_byte & 2U)));
    return (rule->calls >> receive->call & 1U) != 0 && (rule->fd < 0 || rule->fd == receive->fd) &&
           (rule->type == 0 || rule->type == receive->type) && (rule->port == 0 || rule->port == receive->port) &&
           (rule->origin == 0 || rule->origin == receive->origin) && rule->after <= receive->received && peer &&
           can_act(rule, receive);
}

/* Count the receive, and tell whether the rule would act; one that need not is said to by a coin. */
static bool acts(const struct recvshim_rule *rule, const struct receive *receive, uint64_t counts[3], uint64_t *state)
{
    if (!selects(rule, receive))
        return false;
    uint64_t count = ++counts[rule->per == RECVSHIM_PER_CONNECTION ? receive->origin : 0];
    bool due = count >= rule->first && count <= rule->last && (count - rule->first) % rule->step == 0;
    bool certain = rule->chance == RECVSHIM_CHANCE_ALWAYS && rule->times == 0;
    return due && (certain || draw(state, 2) != 0);
}

/* How often the second rule would act, and the first does not. */
static unsigned int count_reached(const struct recvshim_rule pair[2], uint64_t *state)
{
    uint64_t counts[2][3] = {{0}};
    unsigned int reached = 0;
    for (int i = 0; i < 1200; i++) {
        const struct receive receive = draw_receive(state);
        bool first = acts(&pair[0], &receive, counts[0], state);
        reached += acts(&pair[1], &receive, counts[1], state) && !first;
    }
    return reached;
}

static void draw_rule(uint64_t *state, char text[256])
{
    static const char *const calls[] = {"*", "*", "recv", "recvfrom", "recvmsg,recvmmsg", "read,readv"};
    static const char *const actions[] = {"error=EIO",  "eof",  "short=1",   "interrupt=1",
                                          "truncate=1", "drop", "corrupt=1", "scope=1"};
    static const char *const options[][4] = {{"", "", "", ":p=0.5"},
                                             {"", "", "", ":times=3"},
                                             {"", "", ":fd=3", ":fd=4"},
                                             {"", ":type=stream", ":type=stream", ":type=dgram"},
                                             {"", "", ":port=1", ":port=2"},
                                             {"", "", ":origin=1", ":origin=2"},
                                             {"", "", ":after=1", ":after=2"},
                                             {"", ":peer=0.0.0.2/31", ":peer=0.0.0.3", ":peer=0.0.0.0/0"},
                                             {"", "", "", ":per=connection"},
                                             {"", "", ":when=3+2", ":when=2..6"},
                                             {"", "", "", ""}};
    int length =
        snprintf(text, 256, "%s:%s", calls[draw(state, sizeof calls / sizeof calls[0])], actions[draw(state, 8)]);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (draw(state, 3) == 0)
            length += snprintf(text + length, 256 - (size_t)length, "%s", options[i][draw(state, 4)]);
}

/* A rule that is refused was never reached, whatever receives came; and most of those that were never reached are
 * refused. */
Test(fault_reach, by_trial)
{
    uint64_t state = 1;
    unsigned int refused = 0, missed = 0, good = 0;
    char texts[2][256];
    for (int i = 0; i < 200000; i++) {
        struct recvshim_rule pair[2];
        bool each_good = true;
        for (size_t rule = 0; rule < 2 && each_good; rule++) {
            draw_rule(&state, texts[rule]);
            each_good = fault_rules_parse(texts[rule], &rules, problem);
            pair[rule] = rules.rules[0];
        }
        if (!each_good)
            continue;
        bool first = fault_always_first(&pair[0], &pair[1]);
        if (!first && i % 16 != 0)
            continue; /* the most of them are of no interest, and take time */
        unsigned int reached = count_reached(pair, &state);
        cr_assert(!first || reached == 0, "'%s' leaves %u to '%s'", texts[0], reached, texts[1]);
        refused += first;
        good += reached != 0;
        missed += !first && reached == 0;
    }
    cr_expect_gt(refused, 1000, "%u", refused);
    cr_expect_gt(good, 3000, "%u", good);
    cr_expect_lt(missed, refused / 50, "%u of %u", missed, refused);
}
