/* For victims of two processes, of which one blocks in a receive and the other interrupts it: knowing, with no time to
 * decide it, when the interruption is over. A signal makes its target runnable at once, and until the target sleeps
 * again or says that it has returned, /proc shows it as running. */
#ifndef SETTLED_H
#define SETTLED_H

#include "victim.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { NEVER_COMES_S = 100 }; /* reached only by what hangs */

/* What the receiver tells, in memory of both. */
struct progress {
    atomic_long begun;    /* receives that it is about to make */
    atomic_long returned; /* and has come back from */
    atomic_long handled;  /* calls of its handler */
};

static inline struct progress *shared_progress(void)
{
    struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(progress != MAP_FAILED, "mmap");
    return progress;
}

/* The file of /proc that is_blocked() reads. */
static inline int open_syscall_file(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    must(file >= 0, path);
    return file;
}

/* Whether a process sleeps in a receive, or in the wait of a receive's retry. */
static inline bool is_blocked(int file)
{
    char text[32];
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    must(length > 0, "/proc/PID/syscall");
    text[length] = '\0';
    return (sleeps_in(text) & (IN_RECEIVE | IN_WAIT)) != 0;
}

static inline void give_way(uint64_t since, const char *what)
{
    if (nanoseconds(CLOCK_MONOTONIC) - since > NEVER_COMES_S * UINT64_C(1000000000)) {
        dprintf(STDERR_FILENO, "victim: never came: %s\n", what);
        kill(0, SIGKILL);
    }
    sched_yield();
}

#define AWAIT(condition, what)                                                                                         \
    do {                                                                                                               \
        uint64_t since_ = nanoseconds(CLOCK_MONOTONIC);                                                                \
        while (!(condition))                                                                                           \
            give_way(since_, what);                                                                                    \
    } while (0)

#endif
