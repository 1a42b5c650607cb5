/* `when=` counts as strace's does: the same victim under both. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(fault_when, .init = harness_begin, .fini = harness_end);

#define CALLS "count=20", "length=1"

/* What the victim says under strace's injection; NULL where strace refuses the words. */
static char *under_strace(const char *when)
{
    char option[128];
    snprintf(option, sizeof option, "--inject=recvfrom:error=EIO:when=%s", when);
    struct finished job =
        RUN(.argv = {"/usr/bin/strace", "-qq", "-o", "/dev/null", option, victim_path("faulted"), CALLS},
            .native = true);
    if (job.status == 0)
        return job.out;
    cr_assert(strstr(job.err, "invalid") != NULL, "%s", job.err);
    return NULL;
}

static struct finished under_rule(const char *when)
{
    char setting[128];
    snprintf(setting, sizeof setting, "RECVSHIM_FAULT=*:error=EIO:when=%s", when);
    return RUN(.argv = {"faulted", CALLS}, .env = {setting});
}

static void skip_without_ptrace(void)
{
    struct finished job = RUN(.argv = {"/usr/bin/strace", "-qq", "-o", "/dev/null", "/bin/true"}, .native = true);
    if (job.status != 0)
        SKIP("no process may be traced by ptrace here");
}

Test(fault_when, hits_what_strace_hits)
{
    static const char *const words[] = {"1",     "3",      "20",     "21",     "1+",     "2+",     "20+",    "21+",
                                        "1+1",   "3+3",    "2+5",    "1+19",   "1+20",   "2..5",   "5..5",   "1..20",
                                        "2..9+", "2..9+1", "2..9+2", "2..9+3", "2..9+7", "2..9+8", "19..40", "65535"};
    skip_without_ptrace();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char *expected = under_strace(words[i]);
        cr_assert(expected != NULL, "%s", words[i]);
        struct finished job = under_rule(words[i]);
        cr_expect_str_eq(job.out, expected, "when=%s", words[i]);
        cr_expect_str_empty(job.err, "%s", job.err);
    }
}

/* But for the blanks and signs that its strtoul lets through. */
Test(fault_when, refuses_what_strace_refuses)
{
    static const char *const words[] = {"",    "0",    "0+",   "+",       "1+0", "a",  "1a",   "1+a",  "1..",
                                        "..3", "5..4", "1..0", "1..2..3", "1.2", "-1", "1+-1", "1+2+3"};
    skip_without_ptrace();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char *expected = under_strace(words[i]);
        struct finished job = under_rule(words[i]);
        cr_expect_eq(strstr(job.err, "RECVSHIM_FAULT") != NULL, expected == NULL, "when=%s: %s", words[i], job.err);
        if (expected != NULL)
            cr_expect_str_eq(job.out, expected, "when=%s", words[i]);
    }
}
