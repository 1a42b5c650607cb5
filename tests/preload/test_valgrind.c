/* valgrind on traced victims: no error in the library's part of the process. */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

TestSuite(valgrind, .init = harness_begin, .fini = harness_end);

static void check(const char *victim, const char *argument, int status, long long records)
{
    if (access("/usr/bin/valgrind", X_OK) != 0)
        SKIP("valgrind is not installed");
    struct finished job = RUN(.argv = {"/usr/bin/valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
                                       "--errors-for-leak-kinds=definite", victim_path(victim), argument});
    cr_assert(exited_with(&job, status));
    cr_expect_str_empty(job.err);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_expect_eq(ring.count, records);
}

Test(valgrind, calls)
{
    check("calls", NULL, 3, 8);
}

Test(valgrind, retried)
{
    check("sentinel", NULL, 0, 6);
}

Test(valgrind, seqpacket)
{
    check("hangup", "seqpacket", 0, 2);
}

Test(valgrind, threads)
{
    check("threads", "threads=4", 0, 4000);
}
