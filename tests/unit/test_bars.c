/* Distributions, quantities and progress as they are printed. */
#include "cli/bars.h"
#include "cli/progress.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char text[4096];

static void expect_span(uint64_t nanoseconds, const char *expected)
{
    char span[QUANTITY_MAX];
    quantity_span(nanoseconds, span);
    cr_assert_str_eq(span, expected);
}

Test(quantity, spans_have_the_two_largest_units)
{
    const uint64_t second = 1000000000;
    expect_span(999, "999 ns");
    expect_span(59 * second, "59.0 s");
    expect_span(60 * second, "1m00s");
    expect_span(3599 * second, "59m59s");
    expect_span(3600 * second, "1h00m");
    expect_span(86399 * second, "23h59m");
    expect_span(90000 * second, "1d01h");
    expect_span(UINT64_MAX, "213503d23h");
}

static void read_text(int fd)
{
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    close(fd);
}

Test(bars, the_last_octave_has_no_end)
{
    static struct histogram histogram;
    static struct output output;
    histogram_add(&histogram, 0);
    histogram_add(&histogram, UINT64_MAX);
    output_init(&output, memfd_create("output", MFD_CLOEXEC));
    bars_print(&output, 80, "sizes", &histogram, quantity_size);
    output_flush(&output);
    read_text(output.fd);
    cr_assert_not_null(strstr(text, "\n[0 B] "), "%s", text);
    cr_assert_not_null(strstr(text, "\n[8 EiB, ...) "), "%s", text);
}

static int err;

static void catch_stderr(void)
{
    err = memfd_create("stderr", MFD_CLOEXEC);
    cr_assert_eq(dup2(err, STDERR_FILENO), STDERR_FILENO);
}

Test(progress, is_shown_after_a_second, .init = catch_stderr)
{
    struct progress progress;
    progress_begin(&progress);
    progress_update(&progress, 50, 200);
    progress_end(&progress);
    cr_assert_eq(lseek(err, 0, SEEK_END), 0, "too early");
    progress.begun = 0;
    progress_update(&progress, 50, 200);
    progress_update(&progress, 51, 200); /* too soon after that one */
    progress_update(&progress, 0, 0);
    progress_end(&progress);
    progress_end(&progress);
    read_text(err);
    cr_assert_str_eq(text, "\r 25%  50 of 200 events\033[K\r\033[K");
}
