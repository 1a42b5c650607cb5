#include "signal_names.h"

#include "line.h"

#include <signal.h>

/* Libc's sigabbrev_np came with glibc 2.32 only. */
static const char *const names[] = {
#define NAME(name) [SIG##name] = #name
    NAME(HUP),  NAME(INT),    NAME(QUIT), NAME(ILL),   NAME(TRAP), NAME(ABRT), NAME(BUS),  NAME(FPE),
    NAME(KILL), NAME(USR1),   NAME(SEGV), NAME(USR2),  NAME(PIPE), NAME(ALRM), NAME(TERM), NAME(STKFLT),
    NAME(CHLD), NAME(CONT),   NAME(STOP), NAME(TSTP),  NAME(TTIN), NAME(TTOU), NAME(URG),  NAME(XCPU),
    NAME(XFSZ), NAME(VTALRM), NAME(PROF), NAME(WINCH), NAME(IO),   NAME(PWR),  NAME(SYS),
#undef NAME
};
#define NAMES ((int)(sizeof names / sizeof names[0]))

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written, through the line */
void signal_name(int signal, char name[SIGNAL_NAME_MAX])
{
    struct line line = {name, SIGNAL_NAME_MAX, 0};
    line_add(&line, "SIG");
    if (signal > 0 && signal < NAMES && names[signal] != NULL) {
        line_add(&line, names[signal]);
        return;
    }
    bool real_time = signal >= SIGRTMIN && signal <= SIGRTMAX;
    bool lower = signal - SIGRTMIN <= SIGRTMAX - signal;
    int distance = !real_time ? signal : lower ? signal - SIGRTMIN : SIGRTMAX - signal;
    if (real_time)
        line_add(&line, lower ? "RTMIN" : "RTMAX");
    if (real_time && distance != 0)
        line_add(&line, lower ? "+" : "-");
    if (!real_time || distance != 0)
        line_add_number(&line, (uint64_t)(distance < 0 ? 0 : distance));
}

/* A decimal number that fills the word; -1 where it does not. */
static int read_number(const char *word, size_t length)
{
    int number = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || number > SIGNAL_MAX)
            return -1;
        number = 10 * number + (word[i] - '0');
    }
    return length > 0 ? number : -1;
}

/* RTMIN, RTMIN+N, RTMAX, RTMAX-N. 0 for any other word. */
static int read_real_time(const char *word, size_t length)
{
    const size_t base = strlen("RTMIN");
    bool from_min = length >= base && memcmp(word, "RTMIN", base) == 0;
    if (length < base || (!from_min && memcmp(word, "RTMAX", base) != 0))
        return 0;
    if (length == base)
        return from_min ? SIGRTMIN : SIGRTMAX;
    int distance = read_number(word + base + 1, length - base - 1);
    if (word[base] != (from_min ? '+' : '-') || distance < 0)
        return 0;
    return from_min ? SIGRTMIN + distance : SIGRTMAX - distance;
}

static int read_signal(const char *word, size_t length)
{
    const size_t prefix = strlen("SIG");
    if (length > prefix && memcmp(word, "SIG", prefix) == 0) {
        word += prefix;
        length -= prefix;
    }
    for (int signal = 1; signal < NAMES; signal++)
        if (names[signal] != NULL && strlen(names[signal]) == length && memcmp(names[signal], word, length) == 0)
            return signal;
    int signal = read_real_time(word, length);
    return signal != 0 ? signal : read_number(word, length);
}

static bool can_be_handled(int signal)
{
    bool libc = signal >= 32 && signal < SIGRTMIN;
    return signal >= 1 && signal <= SIGRTMAX && signal != SIGKILL && signal != SIGSTOP && !libc;
}

bool signal_names_parse(const char *list, uint64_t *set)
{
    uint64_t found = 0;
    for (const char *word = list; *list != '\0';) {
        size_t length = strcspn(word, ",");
        int signal = read_signal(word, length);
        if (!can_be_handled(signal))
            return false;
        found |= signal_bit(signal);
        if (word[length] == '\0')
            break;
        word += length + 1;
    }
    *set = found;
    return true;
}
