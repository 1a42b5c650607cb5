/* Odd arguments, signals in odd places, and children that odd programs make: natively all of it works. */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/resource.h>

TestSuite(edges, .init = harness_begin, .fini = harness_end);

static struct finished as_natively(const char *way, const char *after)
{
    struct finished native = RUN(.argv = {"edges", way}, .native = true, .after = after);
    struct finished job = RUN(.argv = {"edges", way}, .after = after);
    cr_assert(exited_with(&native, 0));
    cr_assert(exited_with(&job, 0));
    cr_assert_str_eq(job.out, native.out, "%s", job.out);
    return job;
}

Test(edges, the_frame_of_a_caller_of_syscall_is_not_written_to)
{
    as_natively("read-only-frame", NULL);
}

Test(edges, syscall_with_six_arguments)
{
    as_natively("six-arguments", NULL);
}
