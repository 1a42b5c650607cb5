#include "trace/locate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct trace_options options = {
    .size = TRACE_SIZE_MIN, .events = RECVSHIM_EVENTS_ALL, .tracing = true, .seeded = true, .seed = 4711};

/* This process maps a trace, as a traced one does. */
Test(locate, finds_what_is_mapped)
{
    char directory[] = "/tmp/recvshim-unit-XXXXXX", path[64];
    struct trace recording, found;
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/trace", directory);
    cr_assert_not_null(locate_open(getpid(), TRACE_READ, &found).what, "nothing is mapped yet");
    cr_assert_null(trace_join(path, &options, &recording).what);
    cr_assert_null(locate_open(getpid(), TRACE_READ, &found).what);
    cr_assert_eq(found.header.seed, 4711);
    trace_close(&found);

    /* Another trace takes the name: it must not be taken for the one that is mapped. */
    struct trace_options other = options;
    other.seed = 1;
    cr_assert_eq(unlink(path), 0);
    cr_assert_null(trace_create(path, &other).what);
    if (locate_open(getpid(), TRACE_READ, &found).what == NULL) {
        cr_assert_eq(found.header.seed, 4711);
        trace_close(&found);
    } /* else it can be reached through map_files only, which takes capabilities that a container may lack */
    trace_close(&recording);
    unlink(path);
    rmdir(directory);
}

Test(locate, says_why_not)
{
    struct trace trace;
    cr_assert_str_eq(locate_open(4194305, TRACE_READ, &trace).what, "does not exist");
}
