#include "cli/overruled.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "trace/signal_names.h"

static void begins(const struct trace *trace, int signal)
{
    trace->counters->overruled_signals |= signal_bit(signal);
    trace->counters->overruled++;
}

/* Told once, of one that has waited for a second; those of processes that are gone by now do not count. */
Test(overruled, is_told_while_it_waits)
{
    const uint64_t second = OVERRULED_PATIENCE_NS;
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct overruled overruled;
    char words[OVERRULED_WORDS_MAX];
    trace.counters->overruled = 7;
    trace.counters->overruled_ended = 4;
    cr_assert(overruled_begin(&overruled, &trace));
    cr_expect_not(overruled_look(&overruled, &trace, 1 * second, words));
    cr_expect_not(overruled_look(&overruled, &trace, 3 * second, words), "as it was before");
    trace.counters->overruled_ended++;
    cr_expect_not(overruled_look(&overruled, &trace, 3 * second, words));
    cr_expect_not(overruled_look(&overruled, &trace, 5 * second, words), "one of the others has ended");

    begins(&trace, SIGTERM);
    cr_expect_not(overruled_look(&overruled, &trace, 5 * second, words));
    cr_expect_not(overruled_look(&overruled, &trace, 6 * second - 1, words));
    trace.counters->overruled_ended++;
    cr_expect_not(overruled_look(&overruled, &trace, 6 * second, words), "it ended");
    begins(&trace, SIGINT);
    cr_expect_not(overruled_look(&overruled, &trace, 7 * second, words), "its own second begins");
    cr_assert(overruled_look(&overruled, &trace, 8 * second, words));
    cr_expect_str_eq(words,
                     "a receive was retried, perhaps after SIGINT or SIGTERM, and has not returned since: if the "
                     "program should have stopped or timed out by now, it counts on EINTR; end it, and run it "
                     "with --eintr intent");
    cr_expect_not(overruled_look(&overruled, &trace, 9 * second, words), "once");
    uint64_t signals;
    cr_expect_eq(overruled_count(&overruled, &trace, &signals), 2);
    cr_expect_eq(signals, signal_bit(SIGINT) | signal_bit(SIGTERM));
    trace_close(&trace);
}
