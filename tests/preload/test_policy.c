/* SEMANTICS.md, "When a receive is interrupted", cell by cell: every policy and pass list, with every signal, kind of
 * handler, time-out, socket and way for a signal to come. What is expected of a cell is worked out in two steps: what
 * the kernel makes of it (which native runs hold the oracle to), and what the policy makes of that. */
#include "harness.h"

#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(policy, .init = harness_begin, .fini = harness_end);

/* ---- the table: a cell is one of each ---- */

enum policy { ALWAYS, INTENT, RESTART, NEVER };

static const struct setup {
    enum policy policy;
    const char *eintr, *pass;
    int listed[3];
} setups[] = {
    {ALWAYS, "RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=", {0}},
    {INTENT, "RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=", {0}},
    {RESTART, "RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS=", {0}},
    {NEVER, "RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS=", {0}},
    {ALWAYS, "RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=TERM,SIGALRM,USR1", {SIGTERM, SIGALRM, SIGUSR1}},
    {INTENT, "RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=CHLD,USR1,INT", {SIGCHLD, SIGUSR1, SIGINT}},
    {RESTART, "RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS=37,HUP", {37, SIGHUP, 0}},
    {NEVER, "RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS=TERM", {SIGTERM, 0}},
};
static const char *const sockets[] = {"tcp", "udp", "stream", "dgram", "seqpacket"};
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE, 37, 64};
static const char *const handlers[] = {"--", "r-", "-t", "rt"}; /* SA_RESTART, SO_RCVTIMEO */
static const char deliveries[] = "kci"; /* kill, tgkill, kill after siginterrupt(signal, 1); see cells.c */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct cell {
    int signal;
    bool restart, timeout;
    char delivery;
    char name[8];
};

enum { CELLS = COUNT(signals) * COUNT(handlers) * (sizeof deliveries - 1) + 2, CELL_LIST = CELLS * 8 };

static struct cell make_cell(int signal, const char *handler, char delivery)
{
    struct cell cell = {signal, handler[0] == 'r', handler[1] == 't', delivery, ""};
    snprintf(cell.name, sizeof cell.name, "%d%s%c", signal, handler, delivery);
    return cell;
}

/* Every cell of one policy and socket; `list` as the victim takes it. Those with a time-out come last: under `never` a
 * socket that has had one once counts as one that may have one still. */
static void make_cells(struct cell cells[CELLS], char list[CELL_LIST])
{
    size_t count = 0;
    for (size_t h = 0; h < COUNT(handlers); h++) {
        for (size_t s = 0; s < COUNT(signals); s++)
            for (const char *delivery = deliveries; *delivery != '\0'; delivery++)
                cells[count++] = make_cell(signals[s], handlers[h], *delivery);
        if (handlers[h][0] != 'r')
            cells[count++] = make_cell(SIGSTOP, handlers[h], 's');
    }
    cr_assert_eq(count, CELLS);
    list[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(strcat(list, cells[i].name), i + 1 < count ? "," : "");
}

/* ---- the oracle ---- */

static bool has_handler(const struct cell *cell)
{
    return cell->delivery != 's';
}

/* siginterrupt(signal, 1) takes SA_RESTART away. */
static bool restarts(const struct cell *cell)
{
    return cell->restart && cell->delivery != 'i';
}

/* The kernel: whether the receive fails with EINTR. */
static bool interrupts(const struct cell *cell)
{
    return cell->timeout || (has_handler(cell) && !restarts(cell));
}

static bool is_listed(const struct setup *setup, const struct cell *cell)
{
    for (size_t i = 0; i < COUNT(setup->listed); i++)
        if (has_handler(cell) && setup->listed[i] == cell->signal)
            return true;
    return false;
}

static bool is_meant_to_stop(int signal)
{
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT || signal == SIGALRM;
}

static bool intended(const struct cell *cell)
{
    return has_handler(cell) && !restarts(cell) && (is_meant_to_stop(cell->signal) || cell->delivery != 'k');
}

/* The policy: whether an interruption reaches the program. */
static bool passes(const struct setup *setup, const struct cell *cell)
{
    switch (setup->policy) {
    case NEVER:
        return true;
    case ALWAYS:
        return is_listed(setup, cell);
    case INTENT:
        return is_listed(setup, cell) || intended(cell);
    case RESTART:
        return is_listed(setup, cell) || (has_handler(cell) && !restarts(cell));
    }
    return false;
}

/* Whether every handler is wrapped, so that those that did not run are known, too. */
static bool all_are_wrapped(const struct setup *setup)
{
    return setup->policy == INTENT || setup->policy == RESTART;
}

/* Whether a handler is known to have run. */
static bool is_known(const struct setup *setup, const struct cell *cell)
{
    return has_handler(cell) && (all_are_wrapped(setup) || (setup->policy == ALWAYS && is_listed(setup, cell)));
}

/* Whether the record says that `intent` would not have retried it. A kick cannot be told from other ways where nothing
 * is wrapped. */
static bool warns(const struct setup *setup, const struct cell *cell)
{
    return setup->policy == ALWAYS && intended(cell) && (is_meant_to_stop(cell->signal) || cell->delivery == 'i');
}

/* ---- holding both against what was seen ---- */

/* Of many cells that fail for one reason a few are named. */
static unsigned failed;
#define EXPECT(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (!(condition) && failed++ < 8)                                                                              \
            cr_log_error(__VA_ARGS__);                                                                                 \
    } while (0)

static long long said_of(const struct finished *job, const char *key, size_t cell)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%zu", key, cell);
    return said(job, name);
}

static void check_call(const struct finished *job, const struct cell *cell, size_t index, bool passed,
                       const char *where)
{
    long long result = said_of(job, "result", index), error = said_of(job, "errno", index);
    EXPECT(passed ? result == -1 && error == EINTR : result == 1 && error == 0,
           "%s, cell %s: recv returned %lld, errno %lld; expected is %s", where, cell->name, result, error,
           passed ? "EINTR" : "the byte");
    long long handled = said_of(job, "handled", index);
    EXPECT(handled == has_handler(cell), "%s, cell %s: the handler ran %lld times", where, cell->name, handled);
}

/* Handlers that are there and never run: they are candidates, and no signals. */
static uint64_t bystanders(const struct cell *cell)
{
    return signal_bit(SIGUSR2) | (cell->timeout ? signal_bit(SIGWINCH) : 0);
}

/* What else a block of cells has. */
struct variant {
    bool bystanders;
    bool stopped_first; /* cells with a time-out and a handler: what the signal interrupts is then a retry */
};

static void check_record(const struct recvshim_record *record, const struct setup *setup, const struct cell *cell,
                         struct variant variant, const char *where)
{
    bool interrupted = interrupts(cell), passed = interrupted && passes(setup, cell);
    bool retried = interrupted && !passed;
    bool stopped = variant.stopped_first && cell->timeout && has_handler(cell);
    uint32_t retries = (uint32_t)retried + stopped;
    EXPECT(record->event == (passed ? RECVSHIM_EVENT_INTERRUPTED : RECVSHIM_EVENT_RECEIVE), "%s, cell %s: event %u",
           where, cell->name, record->event);
    EXPECT(record->retries == retries, "%s, cell %s: %u retries", where, cell->name, record->retries);

    unsigned flags = record->result_flags & (RECVSHIM_RESULT_SIGNALS | RECVSHIM_RESULT_CANDIDATES |
                                             RECVSHIM_RESULT_PASSED | RECVSHIM_RESULT_INTENT);
    unsigned expected = 0;
    uint64_t expected_signals = has_handler(cell) ? signal_bit(cell->signal) : 0;
    if (interrupted)
        expected |= is_known(setup, cell) ? RECVSHIM_RESULT_SIGNALS : RECVSHIM_RESULT_CANDIDATES;
    if (passed)
        expected |= RECVSHIM_RESULT_PASSED;
    if (retried && warns(setup, cell))
        expected |= RECVSHIM_RESULT_INTENT;
    if (interrupted && !is_known(setup, cell) && !all_are_wrapped(setup) && variant.bystanders)
        expected_signals |= bystanders(cell);
    EXPECT(flags == expected, "%s, cell %s: result flags %#x; expected are %#x", where, cell->name, flags, expected);
    if (interrupted)
        EXPECT(record->signals == expected_signals, "%s, cell %s: signals %#llx; expected are %#llx", where, cell->name,
               (unsigned long long)record->signals, (unsigned long long)expected_signals);
}

static void check_setup(const struct setup *setup, const char *kind, struct variant variant)
{
    struct cell cells[CELLS];
    static char list[CELL_LIST + 8] = "cells=";
    char socket[32], where[128];
    make_cells(cells, list + strlen("cells="));
    failed = 0;
    snprintf(socket, sizeof socket, "socket=%s", kind);
    snprintf(where, sizeof where, "%s %s %s", setup->eintr, setup->pass, kind);
    struct finished job = RUN(.argv = {"cells", socket, list, variant.bystanders ? "bystanders=1" : "bystanders=0",
                                       variant.stopped_first ? "stopped-first=1" : NULL},
                              .env = {setup->eintr, setup->pass});
    cr_assert(exited_with(&job, 0), "%s", where);
    cr_assert_eq(said(&job, "child"), 0);
    for (size_t i = 0; i < CELLS; i++)
        check_call(&job, &cells[i], i, interrupts(&cells[i]) && passes(setup, &cells[i]), where);

    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, CELLS, "%s: %lld records", where, ring.count);
    for (size_t i = 0; i < CELLS; i++)
        check_record(&ring.records[i], setup, &cells[i], variant, where);
    cr_expect_eq(failed, 0, "%s: %u expectations failed in %d cells", where, failed, CELLS);
    free_ring(&ring);
}

struct block {
    size_t setup, socket;
};

ParameterizedTestParameters(policy, cells)
{
    static struct block blocks[COUNT(setups) * COUNT(sockets)];
    for (size_t i = 0; i < COUNT(blocks); i++)
        blocks[i] = (struct block){i / COUNT(sockets), i % COUNT(sockets)};
    return cr_make_param_array(struct block, blocks, COUNT(blocks));
}

ParameterizedTest(const struct block *block, policy, cells)
{
    check_setup(&setups[block->setup], sockets[block->socket], (struct variant){false});
}

Test(policy, only_handlers_that_ran_are_blamed)
{
    for (size_t i = 0; i < COUNT(setups); i++) {
        unlink(trace_path());
        check_setup(&setups[i], "stream", (struct variant){.bystanders = true});
    }
}

/* Where SO_RCVTIMEO is set a retry waits in poll, which no handler restarts. */
Test(policy, a_retry_is_judged_as_the_call_is)
{
    for (size_t i = 0; i < COUNT(setups); i++) {
        if (setups[i].policy == NEVER)
            continue;
        unlink(trace_path());
        check_setup(&setups[i], "tcp", (struct variant){.stopped_first = true});
    }
}

/* The kernel's half of the oracle. */
Test(policy, native_cells)
{
    struct cell cells[CELLS];
    static char list[CELL_LIST + 8] = "cells=";
    make_cells(cells, list + strlen("cells="));
    failed = 0;
    for (size_t s = 0; s < COUNT(sockets); s++) {
        char socket[32];
        snprintf(socket, sizeof socket, "socket=%s", sockets[s]);
        struct finished job = RUN(.argv = {"cells", socket, list}, .native = true);
        cr_assert(exited_with(&job, 0), "%s", sockets[s]);
        for (size_t i = 0; i < CELLS; i++)
            check_call(&job, &cells[i], i, interrupts(&cells[i]), sockets[s]);
        cr_expect_eq(failed, 0, "%s: %u expectations failed in %d cells", sockets[s], failed, CELLS);
    }
}
