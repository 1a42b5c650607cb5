#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(signal_names, every_name_is_read_back)
{
    for (int signal = 1; signal <= SIGNAL_MAX; signal++) {
        char name[SIGNAL_NAME_MAX];
        uint64_t set = 0;
        signal_name(signal, name);
        bool refused = signal == SIGKILL || signal == SIGSTOP || (signal >= 32 && signal < SIGRTMIN);
        cr_expect_eq(signal_names_parse(name, &set), !refused, "%s", name);
        cr_expect_eq(set, refused ? 0 : signal_bit(signal), "%s", name);
    }
}

Test(signal_names, names)
{
    const struct {
        int signal;
        const char *name;
    } rows[] = {{SIGALRM, "SIGALRM"},
                {SIGIO, "SIGIO"},
                {SIGRTMIN, "SIGRTMIN"},
                {SIGRTMAX, "SIGRTMAX"},
                {SIGRTMIN + 3, "SIGRTMIN+3"},
                {SIGRTMAX - 1, "SIGRTMAX-1"},
                {33, "SIG33"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[SIGNAL_NAME_MAX];
        signal_name(rows[i].signal, name);
        cr_expect_str_eq(name, rows[i].name);
    }
}

Test(signal_names, lists)
{
    const struct {
        const char *list;
        uint64_t set;
        bool good;
    } rows[] = {
        {"", 0, true},
        {"TERM", UINT64_C(1) << (SIGTERM - 1), true},
        {"TERM,SIGINT,12", UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGINT - 1) | UINT64_C(1) << 11, true},
        {"RTMIN+2,RTMAX-2", UINT64_C(1) << (SIGRTMIN + 1) | UINT64_C(1) << (SIGRTMAX - 3), true},
        {"64", UINT64_C(1) << 63, true},
        {"term", 0, false},
        {"TERM,", 0, false},
        {",TERM", 0, false},
        {"TERM,,INT", 0, false},
        {"TERM INT", 0, false},
        {"KILL", 0, false},
        {"STOP", 0, false},
        {"0", 0, false},
        {"65", 0, false},
        {"32", 0, false},
        {"18446744073709551617", 0, false},
        {"SIG", 0, false},
        {"RTMIN-1", 0, false},
        {"RTMIN+", 0, false},
        {"RTMIN+31", 0, false},
        {"RTMAX+1", 0, false},
        {"RTMIN2", 0, false},
        {"EXIT", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t set = 0;
        cr_expect_eq(signal_names_parse(rows[i].list, &set), rows[i].good, "'%s'", rows[i].list);
        cr_expect_eq(set, rows[i].set, "'%s'", rows[i].list);
    }
}
