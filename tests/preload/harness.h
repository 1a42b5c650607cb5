/* Running a victim under the library, and reading what it left in the trace. */
#ifndef HARNESS_H
#define HARNESS_H

#include "recvshim/trace.h"
#include "tests/until.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define ARGUMENTS 12

struct job {
    const char *argv[ARGUMENTS + 1]; /* a name without a slash is a victim's */
    const char *env[ARGUMENTS + 1];  /* beside LD_PRELOAD and RECVSHIM_TRACE=trace_path(); of two, the later holds */
    const char *before, *after;      /* victim libraries to preload before and after ours */
    bool native;                     /* without our library */
    void (*prepare)(void);           /* called in the child, before exec */
};

struct running {
    pid_t pid;
    int out, err;
};

struct finished {
    pid_t pid;
    int status; /* as waitpid gives it */
    char *out;
    char *err;
};

/* The library, and a victim or a library to preload into one: of this build's own class, unless the environment says
 * otherwise (RECVSHIM_TEST_LIBRARY, RECVSHIM_TEST_VICTIMS; with RECVSHIM_TEST_EMULATOR, what runs them). */
const char *library_path(void);
const char *victim_path(const char *name);
/* Whether they are for programs of this class: by the name of their machine in <elf.h>. */
bool is_machine(int machine);

/* Around each test: a directory of its own, and its removal. */
void harness_begin(void);
void harness_end(void);

/* Criterion's skipping leaves harness_end() out. */
#define SKIP(...)                                                                                                      \
    do {                                                                                                               \
        harness_end();                                                                                                 \
        cr_skip_test(__VA_ARGS__);                                                                                     \
    } while (0)

/* What qemu cannot do, or does otherwise than the kernel, where it emulates the victims' machine. */
bool under_qemu(void);
#define NOT_UNDER_QEMU(lack)                                                                                           \
    do {                                                                                                               \
        if (under_qemu())                                                                                              \
            SKIP("qemu: %s", lack);                                                                                    \
    } while (0)

/* A test for each row of a table: by its index, because a test's process finds no pointers of this one.
 * <criterion/parameterized.h> has to be there. */
#define ROWS(suite, test, table)                                                                                       \
    ParameterizedTestParameters(suite, test)                                                                           \
    {                                                                                                                  \
        static size_t indices[sizeof table / sizeof table[0]];                                                         \
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)                                                    \
            indices[i] = i;                                                                                            \
        return cr_make_param_array(size_t, indices, sizeof table / sizeof table[0]);                                   \
    }                                                                                                                  \
    ParameterizedTest(const size_t *index, suite, test)

/* A path in the test's directory; of the trace that jobs write unless they are told otherwise. */
const char *path_of(const char *name);
const char *trace_path(void);

struct running start(const struct job *job);
/* Wait until the job and all who hold its output have ended. */
struct finished finish(struct running running);
#define RUN(...) finish(start(&(struct job){__VA_ARGS__}))

/* The command; the library is found by it. */
#define RUN_COMMAND(...)                                                                                               \
    RUN(.argv = {RECVSHIM_COMMAND, __VA_ARGS__}, .env = {"RECVSHIM_LIBRARY=" RECVSHIM_LIBRARY}, .native = true)

/* For `prepare`: what is not permitted here ends the child, as not_permitted() sees. */
void need(bool worked);
void set_limit(__rlimit_resource_t resource, rlim_t value);
void own_mounts(void);
void without_proc(void); /* among mounts of its own */
bool not_permitted(const struct finished *job);

/* The value that a victim said for a key. A key that is missing fails the test. */
long long said(const struct finished *job, const char *key);
bool exited_with(const struct finished *job, int status);
bool killed_by(const struct finished *job, int signal);
long long lines_of(const char *text);
/* One line on stderr at most, which says it; none at all for NULL. */
void expect_line(const struct finished *job, const char *part);

struct ring {
    struct recvshim_header header;
    struct recvshim_record *records; /* the whole ones, by time */
    long long count;
    long long others;     /* whole ones that were put aside: read_receives() */
    long long positions;  /* given out: all cursors */
    long long dropped;    /* counted by the writers */
    long long unfinished; /* slots still claimed */
    long long torn;       /* slots that say they are whole, but whose tail disagrees, or whose lap cannot be */
    long long slots;      /* of all shards */
    struct recvshim_process *processes;
    long long process_count;
    long long foreign; /* processes of another pid namespace */
};

/* Read a trace, which may still be written to; a file that is none fails the test. */
struct ring read_trace(const char *path);

/* The same without what is no receive: most tests look at receives alone, and what else a connection or a process goes
 * through is put aside, and counted in `others`. */
struct ring read_receives(const char *path);
bool is_receive(const struct recvshim_record *record);

/* The events by their letters, in time order: R receive, e empty, d disconnect, E error, i interrupted, w would-block,
 * c connect, a accept, x close, < start, > exit, F fault. */
const char *events_of(const struct ring *ring);

/* For a job whose positions are counted: nothing but receives gets one. */
#define RECEIVES_ONLY "RECVSHIM_EVENTS=receive,empty,disconnect,error,interrupted"

void free_ring(struct ring *ring);

/* What is common to most tests: nothing torn, unfinished or dropped, and every position is a record, put aside or not.
 */
void expect_complete(const struct ring *ring);

long long count_events(const struct ring *ring, enum recvshim_event event);
long long bytes_of(const struct ring *ring, int fd);
long long retries_of(const struct ring *ring);

#endif
