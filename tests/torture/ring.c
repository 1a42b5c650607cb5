/* The ring under torture: processes of several threads, with signal handlers in the midst of everything, store records
 * in a ring so small that they lap each other; every now and then they are stalled between two accesses of a store,
 * stopped, or killed. Two readers read all the while, by a scan and by collecting, and give back what the dead held.
 *
 *   ring [NAME=NUMBER]...
 *
 *   processes   0: the threads are the reader's own, as ThreadSanitizer needs it (2)
 *   threads     of each process (3)
 *   records     that are begun, in all (500000)
 *   shards, slots   (1, 16)
 *   stop        1: the ring stops when it is full (0)
 *   kills, stops    of processes (40, 40)
 *   stall       one of so many accesses of a store is preceded by a stall; 0: none (400)
 *   seed        of what each thread and the reader do (1)
 *
 * Prints what happened, and ends with 0 where each record that was accepted is whole and was accepted once, the account
 * is exact, and no slot is left to the dead. */
#include "preload/next.h"
#include "preload/process.h"
#include "preload/query.h"
#include "preload/recorder.h"
#include "trace/clock.h"
#include "trace/read.h"
#include "trace/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel may be asked who a process is: there is no filter here. */
bool query_allowed(void)
{
    return true;
}

void stall(void);

enum { MAX_PROCESSES = 64, MAX_THREADS = 64, MAX_DEPTH = 3 };
#define NESTED SIGUSR1 /* raised in the midst of a store */
#define TICK   SIGALRM /* comes whenever it does */

static struct {
    const char *name;
    uint64_t value, largest;
} options[] = {
    {"processes", 2, MAX_PROCESSES},
    {"threads", 3, MAX_THREADS},
    {"records", 500000, UINT64_C(1) << 32},
    {"shards", 1, RECVSHIM_MAX_SHARDS},
    {"slots", 16, 1 << 16},
    {"stop", 0, 1},
    {"kills", 40, 100000},
    {"stops", 40, 100000},
    {"stall", 400, 1000000},
    {"seed", 1, UINT32_MAX},
};
enum option { PROCESSES, THREADS, RECORDS, SHARDS, SLOTS, STOP, KILLS, STOPS, STALL, SEED, OPTIONS };

/* In memory that all processes share, and nobody's death takes away. */
static struct shared {
    _Atomic uint64_t begun;  /* stores; each has the number that it was given here */
    _Atomic uint64_t ended;  /* stores */
    _Atomic uint64_t nested; /* stores within another */
    _Atomic uint64_t stalls;
    _Atomic uint64_t threads; /* ever started: for a seed of its own each */
} * shared;

static char path[64];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ring: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    unlink(path);
    exit(1);
}

static uint64_t option(enum option option)
{
    return options[option].value;
}

/* splitmix64 */
static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static _Thread_local uint64_t state;
static _Thread_local volatile int depth; /* of stores */
static _Thread_local uint64_t self;      /* pid and tid, as a record has them */

static uint64_t draw(uint64_t below)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(state) % below;
}

/* ---- the writers ---- */

/* Each word of a record follows from its number, but who wrote it and when: that is in it twice. */
enum word { TIME, NUMBER, TIME_AGAIN, SELF_AGAIN, SELF = offsetof(struct recvshim_record, pid) / sizeof(uint64_t) };
_Static_assert(SELF > SELF_AGAIN, "each has a word of its own");

static uint64_t word_of(uint64_t number, enum word word, uint64_t time, uint64_t who)
{
    switch (word) {
    case TIME:
        return time;
    case NUMBER:
        return number;
    case TIME_AGAIN:
        return ~time;
    case SELF_AGAIN:
        return ~who;
    case SELF:
        return who;
    default:
        return mix(number * RECVSHIM_PAYLOAD_WORDS + word);
    }
}

static bool is_enough(void)
{
    return atomic_load_explicit(&shared->begun, memory_order_relaxed) >= option(RECORDS);
}

static void store(void)
{
    uint64_t words[RECVSHIM_PAYLOAD_WORDS], time = clock_now();
    struct recvshim_record record;
    uint64_t number = atomic_fetch_add_explicit(&shared->begun, 1, memory_order_relaxed) + 1;
    if (depth++ > 0)
        atomic_fetch_add_explicit(&shared->nested, 1, memory_order_relaxed);
    for (enum word i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
        words[i] = word_of(number, i, time, self);
    memcpy(&record, words, sizeof record);
    recorder_store(&record);
    depth--;
    atomic_fetch_add_explicit(&shared->ended, 1, memory_order_relaxed);
}

static void on_signal(int signal)
{
    (void)signal;
    int error = errno;
    if (depth < MAX_DEPTH && self != 0)
        for (uint64_t times = 1 + draw(2 * option(SLOTS) * option(SHARDS)); times > 0 && !is_enough(); times--)
            store();
    errno = error;
}

void stall(void)
{
    if (depth == 0 || option(STALL) == 0 || draw(option(STALL)) != 0)
        return;
    atomic_fetch_add_explicit(&shared->stalls, 1, memory_order_relaxed);
    switch (draw(3)) {
    case 0:
        sched_yield();
        break;
    case 1:
        nanosleep(&(struct timespec){.tv_nsec = (long)draw(50000)}, NULL);
        break;
    default:
        if (depth < MAX_DEPTH)
            raise(NESTED);
    }
}

static void *write_records(void *nothing)
{
    (void)nothing;
    uint64_t number = atomic_fetch_add_explicit(&shared->threads, 1, memory_order_relaxed);
    state = mix(option(SEED) << 32 | number);
    uint32_t pid_and_tid[2] = {(uint32_t)getpid(), (uint32_t)syscall(SYS_gettid)};
    memcpy(&self, pid_and_tid, sizeof self);
    while (!is_enough())
        store();
    self = 0;
    return NULL;
}

static void begin_writing(void)
{
    next_start();
    process_start();
    struct trace_error error = recorder_start(path, &(struct trace_options){.size = TRACE_SIZE_MIN});
    if (error.what != NULL)
        fail("%s %s: %s", path, error.what, strerror(error.error));
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(NESTED, &action, NULL);
    sigaction(TICK, &action, NULL);
}

static void start_threads(pthread_t threads[])
{
    for (uint64_t i = 0; i < option(THREADS); i++)
        if (pthread_create(&threads[i], NULL, write_records, NULL) != 0)
            fail("no more threads");
}

static void join_threads(const pthread_t threads[])
{
    for (uint64_t i = 0; i < option(THREADS); i++)
        pthread_join(threads[i], NULL);
}

static pid_t start_process(void)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    begin_writing();
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
    pthread_t threads[MAX_THREADS];
    start_threads(threads);
    join_threads(threads);
    _exit(0);
}

/* ---- the readers ---- */

struct examined {
    struct reader reader;
    struct references references;
    unsigned char *seen; /* a bit for each record */
};

/* Above the number of any record: a few are begun by who did not see yet that it is enough. */
static uint64_t room(void)
{
    return option(RECORDS) + (uint64_t)MAX_PROCESSES * MAX_THREADS * (MAX_DEPTH + 1) + 1;
}

/* Whether it has the bit; it then has it. */
static bool mark(struct examined *examined, uint64_t number, bool set)
{
    unsigned char bit = (unsigned char)(1U << number % 8);
    bool had = (examined->seen[number / 8] & bit) != 0;
    if (set)
        examined->seen[number / 8] |= bit;
    return had;
}

static void examine(void *context, const struct recvshim_record *record)
{
    struct examined *examined = context;
    if (record->connection == 0)
        return; /* the start of a process */
    uint64_t words[RECVSHIM_PAYLOAD_WORDS];
    memcpy(words, record, sizeof words);
    if (words[NUMBER] >= room())
        fail("torn: a record of number %" PRIu64, words[NUMBER]);
    for (enum word i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
        if (words[i] != word_of(words[NUMBER], i, words[TIME], words[SELF]))
            fail("torn: record %" PRIu64 " has %#" PRIx64 " for word %d", words[NUMBER], words[i], (int)i);
    if (mark(examined, words[NUMBER], true))
        fail("record %" PRIu64 " came twice", words[NUMBER]);
}

static void begin_reading(struct examined *examined, const struct trace *trace)
{
    reader_init(&examined->reader, trace, READER_OLDEST);
    examined->seen = calloc(1, room() / 8 + 1);
    if (examined->seen == NULL)
        fail("no memory");
}

static void scan(struct examined *examined)
{
    reader_mark(&examined->reader);
    if (!reader_scan(&examined->reader, examine, examined))
        fail("no memory");
}

static void collect(struct examined *examined)
{
    struct references *references = &examined->references;
    struct recvshim_record record;
    if (!reader_collect(&examined->reader, references) || !references_sort(references))
        fail("no memory");
    for (size_t i = 0; i < references->count; i++)
        if (reader_fetch(&examined->reader, references->items[i], &record))
            examine(examined, &record);
    references->count = 0;
}

/* ---- the judge ---- */

static uint64_t sum_of_dropped(const struct trace *trace)
{
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < trace->header.shards; i++)
        dropped += atomic_load_explicit(&trace->cursors[i].dropped, memory_order_relaxed);
    return dropped;
}

/* With nobody writing. `started` records are the recorder's own. */
static void judge(const char *how, struct examined *examined, uint64_t started)
{
    const struct trace *trace = examined->reader.trace;
    struct reader_account account = reader_account(&examined->reader, false);
    uint64_t begun = atomic_load(&shared->begun) + started, ended = atomic_load(&shared->ended);
    uint64_t dropped = sum_of_dropped(trace), died = 0;
    for (uint32_t i = 0; i < trace->header.shards; i++)
        died += examined->reader.shards[i].died;
    printf("%s: %" PRIu64 " = %" PRIu64 " delivered + %" PRIu64 " overwritten + %" PRIu64 " dropped + %" PRIu64
           " died\n",
           how, account.cursor, account.delivered, account.overwritten, account.dropped, account.died);
    if (examined->reader.damaged)
        fail("%s: a cursor made no sense", how);
    if (account.cursor != account.delivered + account.overwritten + account.dropped + account.died)
        fail("%s: the account does not add up", how);
    if (account.cursor < ended || account.cursor > begun)
        fail("%s: %" PRIu64 " positions for %" PRIu64 " to %" PRIu64 " records", how, account.cursor, ended, begun);
    if (account.died > begun - ended)
        fail("%s: %" PRIu64 " of %" PRIu64 " unfinished records died", how, account.died, begun - ended);
    if (account.dropped != dropped || account.delivered + died + dropped > account.cursor)
        fail("%s: %" PRIu64 " were dropped, %" PRIu64 " found dead", how, dropped, died);
    for (uint32_t shard = 0; shard < trace->header.shards; shard++)
        for (uint64_t i = 0; i < trace->header.slots && i < examined->reader.shards[shard].next; i++) {
            uint64_t position = examined->reader.shards[shard].next - 1 - i;
            struct recvshim_slot *slot = reader_slot(trace, shard, position);
            uint64_t word = atomic_load(&slot->state);
            if (recvshim_state_of(word) == RECVSHIM_STATE_BUSY)
                fail("%s: the slot of position %" PRIu64 " is still %u's", how, position, recvshim_tid_of(word));
            if (recvshim_state_of(word) != RECVSHIM_STATE_DONE ||
                recvshim_laps_of(word) != position / trace->header.slots + 1)
                continue;
            struct recvshim_record record;
            memcpy(&record, (const void *)slot->payload, sizeof record);
            if (record.connection != 0 && !mark(examined, record.connection, false))
                fail("%s: record %" PRIu64 " stands there and did not come", how, record.connection);
        }
}

/* A trace of any number of shards and slots: trace_create() makes no smaller ones, and as many shards as there are
 * CPUs. */
static void make_trace(void)
{
    const char *directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.32s/recvshim-ring.%d", directory != NULL ? directory : "/tmp", (int)getpid());
    struct trace_options large = {.size = UINT64_C(32) << 20, .events = RECVSHIM_EVENTS_ALL, .tracing = true};
    struct trace_error error = trace_create(path, &large);
    if (error.what != NULL)
        fail("%s %s: %s", path, error.what, strerror(error.error));
    struct recvshim_header header;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        fail("%s: %s", path, strerror(errno));
    header.shards = (uint32_t)option(SHARDS);
    header.slots = option(SLOTS);
    header.mode = option(STOP) != 0 ? RECVSHIM_MODE_STOP : RECVSHIM_MODE_OVERWRITE;
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);
    if (ftruncate(fd, (off_t)layout.size) != 0 || pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        fail("%s: %s", path, strerror(errno));
    close(fd);
}

/* Read by the map that the recorder writes, for ThreadSanitizer to see that it is the same memory. */
static void share_map(struct trace *trace)
{
    char *base = (char *)recorder_rules() - trace->layout.rules;
    trace->counters = (void *)(base + trace->layout.counters);
    trace->cursors = (void *)(base + trace->layout.cursors);
    trace->processes = (void *)(base + trace->layout.processes);
    trace->slots = (void *)(base + trace->layout.slots);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        enum option at = 0;
        size_t length = strcspn(argv[i], "=");
        while (at < OPTIONS && (strlen(options[at].name) != length || memcmp(options[at].name, argv[i], length) != 0))
            at++;
        char *end = argv[i];
        if (at < OPTIONS && argv[i][length] == '=')
            options[at].value = strtoull(argv[i] + length + 1, &end, 10);
        if (at == OPTIONS || *end != '\0' || options[at].value > options[at].largest)
            fail("%s: no such option, or too large", argv[i]);
    }
    if ((option(SLOTS) & (option(SLOTS) - 1)) != 0 || (option(SHARDS) & (option(SHARDS) - 1)) != 0 ||
        option(SLOTS) * option(SHARDS) * option(THREADS) == 0)
        fail("slots and shards must be powers of two, and there must be a thread");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_trace();
    state = mix(option(SEED));

    static struct trace trace;
    static struct examined scanner, collector;
    struct trace_error error = trace_open(path, TRACE_CONTROL, &trace);
    if (error.what != NULL)
        fail("%s %s: %s", path, error.what, strerror(error.error));
    pid_t processes[MAX_PROCESSES];
    pthread_t threads[MAX_THREADS];
    bool alone = option(PROCESSES) == 0;
    if (alone) {
        begin_writing();
        share_map(&trace);
    }
    begin_reading(&scanner, &trace);
    begin_reading(&collector, &trace);
    if (alone)
        start_threads(threads);
    for (uint64_t i = 0; i < option(PROCESSES); i++)
        processes[i] = start_process();
    uint64_t started = alone ? 1 : option(PROCESSES);

    uint64_t due = alone ? 0 : option(KILLS) + option(STOPS), kills = option(KILLS), done = 0, repaired = 0, passes = 0;
    pid_t stopped = 0;
    uint64_t stopped_at = 0;
    while (!is_enough()) {
        scan(&scanner);
        collect(&collector);
        passes++;
        if (passes % 16 == 0)
            repaired += repair(&scanner.reader);
        if (stopped != 0 && passes - stopped_at > 64) {
            kill(stopped, SIGCONT);
            stopped = 0;
        }
        if (done >= due || stopped != 0 ||
            atomic_load_explicit(&shared->begun, memory_order_relaxed) < option(RECORDS) / (due + 1) * (done + 1))
            continue;
        uint64_t victim = draw(option(PROCESSES));
        if (draw(due - done) < kills) {
            kill(processes[victim], SIGKILL);
            waitpid(processes[victim], NULL, 0);
            processes[victim] = start_process();
            started++;
            kills--;
        } else {
            stopped = processes[victim];
            stopped_at = passes;
            kill(stopped, SIGSTOP);
        }
        done++;
    }
    if (stopped != 0)
        kill(stopped, SIGCONT);
    for (uint64_t i = 0; i < option(PROCESSES); i++) {
        int status;
        if (waitpid(processes[i], &status, 0) != processes[i] || status != 0)
            fail("a process ended with %#x", (unsigned)status);
    }
    if (alone)
        join_threads(threads);
    else if (trace_is_written(&trace))
        fail("somebody still writes");

    for (int i = 0; i < 2; i++) {
        scan(&scanner);
        collect(&collector);
        repaired += repair(&scanner.reader);
    }
    printf("%" PRIu64 " records, %" PRIu64 " nested, %" PRIu64 " stalls; %" PRIu64 " killed, %" PRIu64
           " stopped; %" PRIu64 " slots given back; %" PRIu64 " passes\n",
           atomic_load(&shared->begun), atomic_load(&shared->nested), atomic_load(&shared->stalls),
           option(KILLS) - kills, done - (option(KILLS) - kills), repaired, passes);
    if (option(KILLS) - kills >= 30 && option(STALL) != 0 && repaired == 0)
        fail("of %" PRIu64 " that were killed none held a slot: this proves nothing", option(KILLS) - kills);
    judge("scanned", &scanner, started);
    judge("collected", &collector, started);
    unlink(path);
    return 0;
}
