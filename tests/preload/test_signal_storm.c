/* Another process sends up to a hundred thousand signals a second to four threads that receive, under every policy:
 * nothing is lost or hangs, and EINTR reaches the program where the policy says so, and only there. Each takes one
 * second; RECVSHIM_TEST_SECONDS=60 is the full form. */
#include "harness.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(signal_storm, .init = harness_begin, .fini = harness_end, .timeout = 600);

/* legal, as signal_storm.c has it: whose handlers EINTR may follow. */
static const struct storm {
    const char *eintr, *pass, *how, *legal;
} storms[] = {
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=", "how=kill", "legal=0"},
    {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=", "how=kill", "legal=2"},
    {"RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS=", "how=kill", "legal=1"},
    {"RECVSHIM_EINTR=never", "RECVSHIM_EINTR_PASS=", "how=kill", "legal=8"},
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=USR1", "how=kill", "legal=4"},
    {"RECVSHIM_EINTR=always", "RECVSHIM_EINTR_PASS=", "how=queue", "legal=0"},
    {"RECVSHIM_EINTR=intent", "RECVSHIM_EINTR_PASS=USR1", "how=queue", "legal=6"},
    {"RECVSHIM_EINTR=restart", "RECVSHIM_EINTR_PASS=", "how=queue", "legal=1"},
};

ROWS(signal_storm, under_every_policy, storms)
{
    const struct storm *storm = &storms[*index];
    const char *seconds = getenv("RECVSHIM_TEST_SECONDS");
    char length[64];
    snprintf(length, sizeof length, "seconds=%s", seconds != NULL ? seconds : "1");
    struct finished job = RUN(.argv = {"signal_storm", length, storm->how, storm->legal},
                              .env = {storm->eintr, storm->pass, "RECVSHIM_EVENTS=interrupted"});
    cr_assert(exited_with(&job, 0), "%s %s %s", storm->eintr, storm->pass, storm->how);
    cr_expect_gt(said(&job, "bytes"), 0);
    cr_expect_eq(said(&job, "bytes"), said(&job, "expected"));
    cr_expect_eq(said(&job, "wrong"), 0);
    cr_expect_eq(said(&job, "failed"), 0);
    cr_expect_eq(said(&job, "illegal"), 0, "%s %s: %lld of %lld EINTR are against the policy", storm->eintr,
                 storm->pass, said(&job, "illegal"), said(&job, "eintr"));
    bool passes = storm->legal[6] != '0';
    cr_expect_eq(said(&job, "eintr") > 0, passes, "%s %s: EINTR %lld times", storm->eintr, storm->pass,
                 said(&job, "eintr"));
    cr_expect_gt(said(&job, "handled"), 1000);

    struct ring ring = read_receives(trace_path());
    cr_expect_eq(ring.torn, 0);
    cr_expect_eq(ring.unfinished, 0);
    cr_expect_eq(ring.positions, said(&job, "eintr"), "each is recorded, and may be overwritten");
    for (long long i = 0; i < ring.count; i++)
        cr_assert_neq(ring.records[i].result_flags & RECVSHIM_RESULT_PASSED, 0);
    cr_log_info("%s %s %s: %lld signals a second sent, %lld handled; %lld MiB; EINTR %lld times", storm->eintr,
                storm->pass, storm->how, said(&job, "sent") / atoll(length + 8),
                said(&job, "handled") / atoll(length + 8), said(&job, "bytes") >> 20, said(&job, "eintr"));
    free_ring(&ring);
}
