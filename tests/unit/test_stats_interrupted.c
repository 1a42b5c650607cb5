/* What `recvshim stats` says of interrupted receives. */
#include "sample.h"
#include "shell.h"
#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(interrupted, .init = shell_begin, .fini = shell_end, .timeout = 300);

static void expect_printed(const char *part)
{
    cr_assert_not_null(strstr(printed, part), "%s\nis not in\n%s", part, printed);
}

static struct recvshim_record retried(uint32_t retries, uint16_t flags, const char *signals)
{
    return sample_retried(sample_event(RECVSHIM_EVENT_RECEIVE, 1, 1), retries, flags, signals);
}

static struct recvshim_record interrupted(uint16_t flags, const char *signals)
{
    return sample_interrupted(sample_event(RECVSHIM_EVENT_RECEIVE, 1, 1), flags, signals);
}

/* Of each kind that there is. */
static void make_interruptions(void)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 64);
    sample_store(&trace, retried(20, EXACT | INTENT, "ALRM"));
    sample_store(&trace, retried(20, EXACT | INTENT, "ALRM"));
    sample_store(&trace, retried(1, EXACT, "ALRM"));
    sample_store(&trace, retried(1, CANDIDATES, "ALRM,TERM"));
    sample_store(&trace, retried(2, CANDIDATES, ""));
    sample_store(&trace, retried(5, 0, ""));
    sample_store(&trace, interrupted(EXACT | PASSED, "TERM"));
    struct recvshim_record record = interrupted(EXACT | PASSED, "TERM");
    record.retries = 6;
    sample_store(&trace, record);
    sample_store(&trace, interrupted(CANDIDATES, "TERM"));
    trace_close(&trace);
}

Test(interrupted, is_told_in_words)
{
    make_interruptions();
    cr_assert_eq(STATUS("stats", path), 0);
    cr_assert_str_eq(said, "");
    expect_printed("\n\nINTERRUPTED RECEIVES\n"
                   "retried 41 times in 3 receives after SIGALRM\n"
                   "retried 5 times in 1 receive\n"
                   "retried 2 times in 1 receive, perhaps after SIGSTOP and SIGCONT\n"
                   "retried 1 time in 1 receive, perhaps after SIGALRM or SIGTERM\n"
                   "left to the program by policy 2 times after SIGTERM, retried 6 times before\n"
                   "could not be retried 1 time, perhaps after SIGTERM\n"
                   "2 receives were retried after SIGALRM, whose handler does not ask for restarts (SA_RESTART): the "
                   "program may count on EINTR to stop or to time out; try --eintr intent\n\n");
    expect_printed(", 55 retries\n");
    cr_assert_eq(STATUS("stats", "--top", "2", path), 0);
    expect_printed(
        "\nretried 5 times in 1 receive\n... and 4 more kinds of interruptions; --top all shows all of them\n"
        "2 receives were retried ");
}

Test(interrupted, is_not_there_where_nothing_was)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 64);
    sample_receive(&trace, 1, 1, 100);
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", path), 0);
    cr_assert_null(strstr(printed, "INTERRUPTED"));
    cr_assert_eq(STATUS("stats", "--format=json", path), 0);
    expect_printed(",\"interruptions\":[],\"other_interruptions\":[],\"distributions\":");
}

Test(interrupted, is_told_in_json)
{
    make_interruptions();
    cr_assert_eq(STATUS("stats", "--format=json", "--top=1", path), 0);
    expect_printed(",\"interruptions\":["
                   "{\"outcome\":\"retried\",\"signals\":[\"SIGALRM\"],\"certain\":true,\"receives\":3,\"retries\":41},"
                   "{\"outcome\":\"retried\",\"signals\":null,\"certain\":null,\"receives\":1,\"retries\":5},"
                   "{\"outcome\":\"retried\",\"signals\":[],\"certain\":false,\"receives\":1,\"retries\":2},"
                   "{\"outcome\":\"retried\",\"signals\":[\"SIGALRM\",\"SIGTERM\"],\"certain\":false,\"receives\":1,"
                   "\"retries\":1},"
                   "{\"outcome\":\"passed\",\"signals\":[\"SIGTERM\"],\"certain\":true,\"receives\":2,\"retries\":6},"
                   "{\"outcome\":\"left\",\"signals\":[\"SIGTERM\"],\"certain\":false,\"receives\":1,\"retries\":0}],"
                   "\"other_interruptions\":[],");
}

Test(interrupted, is_told_to_prometheus)
{
    make_interruptions();
    cr_assert_eq(STATUS("stats", "--format=prometheus", path), 0);
    expect_printed("# TYPE recvshim_interrupted_receives_total counter\n"
                   "recvshim_interrupted_receives_total{outcome=\"retried\",signals=\"SIGALRM\",certain=\"true\"} 3\n"
                   "recvshim_interrupted_receives_total{outcome=\"retried\",signals=\"\",certain=\"unknown\"} 1\n"
                   "recvshim_interrupted_receives_total{outcome=\"retried\",signals=\"\",certain=\"false\"} 1\n"
                   "recvshim_interrupted_receives_total{outcome=\"retried\",signals=\"SIGALRM,SIGTERM\","
                   "certain=\"false\"} 1\n");
    expect_printed(
        "recvshim_interrupted_receive_retries_total{outcome=\"passed\",signals=\"SIGTERM\",certain=\"true\"} "
        "6\n");
    check_with_promtool();
}

/* More kinds than are told apart. */
Test(interrupted, counts_the_others)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 128);
    for (uint64_t i = 0; i < INTERRUPTIONS_MAX + 10; i++) {
        struct recvshim_record record = retried(2, EXACT, "");
        record.signals = UINT64_MAX - i;
        sample_store(&trace, record);
    }
    sample_store(&trace, interrupted(PASSED, ""));
    trace_close(&trace);
    cr_assert_eq(STATUS("stats", "--top=all", path), 0);
    expect_printed("retried 2 times in 1 receive after SIGHUP, SIGINT, SIGQUIT, SIGKILL and 60 others\n");
    expect_printed("\nretried 20 times in 10 receives after other signals\n"
                   "left to the program by policy 1 time after other signals\n\n");
    cr_assert_eq(STATUS("stats", "--format=prometheus", path), 0);
    expect_printed("{outcome=\"retried\",signals=\"other\",certain=\"unknown\"} 10\n");
    expect_printed("{outcome=\"passed\",signals=\"other\",certain=\"unknown\"} 1\n");
    check_with_promtool();
    cr_assert_eq(STATUS("stats", "--format=json", path), 0);
    expect_printed(",\"other_interruptions\":[{\"outcome\":\"retried\",\"receives\":10,\"retries\":20},"
                   "{\"outcome\":\"passed\",\"receives\":1,\"retries\":0}],");
}
