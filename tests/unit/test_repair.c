#include "fixture.h"

#include "trace/identity.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A trace of this boot and this pid namespace. */
static struct trace own_trace(void)
{
    struct recvshim_header header = fixture_header();
    identity_boot(header.boot_id);
    header.pid_namespace = identity_pid_namespace();
    struct trace trace;
    cr_assert_null(trace_map(fixture_file(&header, 0), TRACE_REPAIR, &trace).what);
    return trace;
}

static uint32_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return (uint32_t)pid;
}

Test(repair, marks_the_slots_of_the_dead_alone)
{
    struct trace trace = own_trace();
    struct reader reader;
    int64_t results[8];
    reader_init(&reader, &trace, READER_OLDEST);
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), dead_pid()));
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), (uint32_t)getpid()));
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), 0)); /* kill(0, 0) would be our own group */
    cr_assert_eq(fixture_read(&reader, results, 8), 0);
    cr_assert_eq(repair(&reader), 1);
    cr_assert_eq(recvshim_state_of(trace.slots[0].state), RECVSHIM_STATE_ABANDONED);
    cr_assert_eq(recvshim_state_of(trace.slots[1].state), RECVSHIM_STATE_BUSY);
    cr_assert_eq(recvshim_state_of(trace.slots[2].state), RECVSHIM_STATE_BUSY);
    cr_assert_eq(fixture_read(&reader, results, 8), 0);
    struct reader_account account = reader_account(&reader, true);
    fixture_check_account(&account);
    cr_assert_eq(account.died, 1);
    cr_assert_eq(account.pending, 2);

    /* The next lap may have the slot. */
    atomic_store(&trace.cursors[0].cursor, FIXTURE_SLOTS);
    cr_assert(fixture_claim(&trace, 0, fixture_position(&trace, 0), 42));
    reader_free(&reader);
}

Test(repair, keeps_off_what_it_cannot_judge)
{
    struct trace trace = own_trace();
    cr_assert(repair_possible(&trace));
    atomic_store(&trace.counters->foreign, 1);
    cr_assert_not(repair_possible(&trace), "a writer of another pid namespace");
    atomic_store(&trace.counters->foreign, 0);
    trace.header.pid_namespace++;
    cr_assert_not(repair_possible(&trace));
    trace.header.pid_namespace = 0;
    cr_assert_not(repair_possible(&trace));
    trace.header.pid_namespace = identity_pid_namespace();
    trace.header.boot_id[3] ^= 1;
    cr_assert_not(repair_possible(&trace));

    struct trace foreign = fixture_trace(RECVSHIM_MODE_OVERWRITE); /* knows neither */
    cr_assert_not(repair_possible(&foreign));
}
