/* What is found under a trace's name is not believed. */
#include "fixture.h"
#include "trace/fault_rules.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect(const struct recvshim_header *header, long extra, const char *what)
{
    struct recvshim_header sizes = fixture_header();
    int fd = fixture_file(&sizes, extra);
    cr_assert_eq(pwrite(fd, header, sizeof *header, 0), (ssize_t)sizeof *header);
    struct trace trace;
    struct trace_error error = trace_map(fd, TRACE_READ, &trace);
    if (what == NULL)
        cr_assert_null(error.what, "%s", error.what);
    else
        cr_assert(error.what != NULL && strstr(error.what, what) != NULL, "%s", error.what);
}
#define EXPECT(what, ...)                                                                                              \
    do {                                                                                                               \
        struct recvshim_header header = fixture_header();                                                              \
        header.__VA_ARGS__;                                                                                            \
        expect(&header, 0, what);                                                                                      \
    } while (0)

Test(map, checks_the_header)
{
    EXPECT(NULL, mode = RECVSHIM_MODE_STOP);
    EXPECT("not a recvshim trace", magic[7] = 'M');
    EXPECT("byte order", byte_order = 0x04030201);
    EXPECT("version", version = RECVSHIM_VERSION + 1);
    EXPECT("no sense", record_size = 64);
    EXPECT("no sense", shards = 0);
    EXPECT("no sense", shards = 3);
    EXPECT("no sense", shards = 128);
    EXPECT("no sense", slots = 0);
    EXPECT("no sense", slots = 7);
    EXPECT("no sense", slots = UINT64_C(1) << 63);
    EXPECT("no sense", names = 3);
    EXPECT("no sense", names = RECVSHIM_MAX_NAMES * 2);
    EXPECT("no sense", processes = 0);
    EXPECT("no sense", processes = RECVSHIM_MAX_PROCESSES + 1);
    EXPECT("no sense", mode = 2);
    EXPECT("truncated", slots = RECVSHIM_MAX_SLOTS);
    EXPECT("truncated", slots = FIXTURE_SLOTS * 64);
    EXPECT("longer", shards = 1);
}

Test(map, checks_the_size)
{
    struct recvshim_header header = fixture_header();
    expect(&header, -1, "truncated");
    expect(&header, 1, "longer");
}

Test(map, opens_only_what_is_a_file)
{
    char directory[] = "/tmp/recvshim-unit-XXXXXX", path[64], link_path[64];
    struct trace trace;
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/trace", directory);
    snprintf(link_path, sizeof link_path, "%s/link", directory);
    struct trace_options options = {.size = TRACE_SIZE_MIN, .events = RECVSHIM_EVENTS_ALL, .tracing = true};
    cr_assert_eq(symlink(path, link_path), 0);

    cr_assert_str_eq(trace_open(directory, TRACE_READ, &trace).what, "is not a regular file");
    cr_assert_null(trace_create(path, &options).what);
    cr_assert_not_null(trace_create(path, &options).what, "what is there is never overwritten");
    cr_assert_null(trace_open(path, TRACE_READ, &trace).what);
    trace_close(&trace);
    cr_assert_not_null(strstr(trace_open(link_path, TRACE_READ, &trace).what, "symbolic link"));
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_str_eq(trace_open(path, TRACE_READ, &trace).what, "is not a regular file");
    unlink(path);
    unlink(link_path);
    rmdir(directory);
}

/* The command proves so that nobody writes; a program waits for it a moment, and never for ever. */
Test(map, waits_shortly_for_who_holds_it)
{
    struct recvshim_header header = fixture_header();
    int fd = fixture_file(&header, 0);
    char path[64];
    struct trace trace;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDWR | O_CLOEXEC), other = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(other, LOCK_EX), 0);
    cr_assert_null(trace_map(own, TRACE_RECORD, &trace).what);
    trace_close(&trace);
    close(other);
    close(fd);
}

Test(map, shows_the_rules_of_its_maker)
{
    static struct fault_rules faults = {.count = 2};
    struct trace_options options = {.size = TRACE_SIZE_MIN, .events = 5, .tracing = true, .faults = &faults};
    struct trace trace;
    for (uint64_t i = 0; i < faults.count; i++)
        faults.rules[i] = (struct recvshim_rule){.calls = 3, .low = i, .draw = 4711 + i};
    int fd = memfd_create("trace", MFD_CLOEXEC);
    cr_assert_null(trace_format(fd, &options).what);
    cr_assert_null(trace_map(fd, TRACE_READ, &trace).what);
    cr_assert_eq(trace.control->tracing, 1);
    cr_assert_eq(trace.control->events, 5);
    cr_assert_eq(trace.control->generation, 0, "each process has its own");
    cr_assert_eq(trace.control->rules, 2);
    cr_assert_eq(memcmp(trace.control->rule_words, faults.rules, 2 * sizeof faults.rules[0]), 0);
    cr_assert_eq(trace.control->rule_words[2][0], 0);
    trace_close(&trace);
}

Test(map, tells_counts_of_one_generation_from_another)
{
    uint64_t word = recvshim_count_word(6, 17);
    cr_assert_eq(recvshim_counted(word, 6), 17);
    cr_assert_eq(recvshim_counted(word, 8), 0);
    cr_assert_eq(recvshim_counted(word, 6 + (1U << 24)), 17, "the tag has 24 bits");
    cr_assert_eq(recvshim_counted(word, 0), 0);
    cr_assert_eq(recvshim_counted(recvshim_count_word(UINT32_MAX, RECVSHIM_COUNT_MAX), UINT32_MAX), RECVSHIM_COUNT_MAX);
    cr_assert_eq(recvshim_counted(17, 0), 17);
}

Test(map, wants_memory_sealed)
{
    struct recvshim_header header = fixture_header();
    int fd = fixture_file(&header, 0);
    char path[64];
    struct trace trace;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    cr_assert_not_null(strstr(trace_open(path, TRACE_READ, &trace).what, "not memory sealed"));
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    cr_assert_null(trace_open(path, TRACE_READ, &trace).what);
    cr_assert_not(trace_is_written(&trace));
    trace_close(&trace);

    /* Whoever maps it for recording holds a lock until it goes. */
    struct trace recording;
    cr_assert_null(trace_open(path, TRACE_RECORD, &recording).what);
    cr_assert_null(trace_open(path, TRACE_READ, &trace).what);
    cr_assert(trace_is_written(&trace));
    trace_close(&recording);
    cr_assert_not(trace_is_written(&trace));
}
