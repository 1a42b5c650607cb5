/* The trace outlives a program that is killed, and holds all that it had received. */
#include "harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(survival, .init = harness_begin, .fini = harness_end);

enum { KILLS = 200, WITHIN_US = 2000 };
/* Should it get as far before it is killed, the program stops here: even one of 64 shards has room for it. */
#define LIMIT "1024"

/* Run a program that is killed so long after its first receive, and return what it had counted. */
static long long kill_after(const char *shared, volatile uint64_t *count, unsigned microseconds)
{
    char delay[16];
    snprintf(delay, sizeof delay, "%u", microseconds);
    *count = 0;
    struct finished job = RUN(.argv = {"counted", shared, LIMIT, delay}, .env = {"RECVSHIM_SIZE=8M", RECEIVES_ONLY});
    cr_assert(killed_by(&job, SIGKILL), "%s", job.err);
    return (long long)*count;
}

/* A receive is recorded before it returns, so that the trace has as many as the program counted, or the one more that
 * it was killed before counting. A kill in the middle of a store leaves that slot unfinished, and nothing torn. */
Test(survival, killed_at_random_moments)
{
    const char *shared = path_of("count");
    int file = open(shared, O_RDWR | O_CREAT, 0600);
    cr_assert(file >= 0 && ftruncate(file, 4096) == 0);
    volatile uint64_t *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(count != MAP_FAILED);
    unsigned seed = (unsigned)getpid();
    for (int i = 0; i < KILLS; i++) {
        long long counted = kill_after(shared, count, 1 + (unsigned)rand_r(&seed) % WITHIN_US);
        struct ring ring = read_trace(trace_path());
        cr_assert_eq(ring.torn, 0);
        cr_assert_eq(ring.dropped, 0);
        cr_assert_leq(ring.positions, ring.slots, "the ring is too small for this machine: enlarge it");
        cr_assert(ring.count == counted || ring.count == counted + 1, "%lld records, %lld counted", ring.count,
                  counted);
        cr_assert_leq(ring.unfinished, 1);
        cr_assert_geq(ring.count + ring.unfinished, ring.positions - 1, "a position at most without a claim");
        for (long long n = 0; n < ring.count; n++)
            cr_assert_eq(ring.records[n].result, 1);
        free_ring(&ring);
        unlink(trace_path());
    }
}
