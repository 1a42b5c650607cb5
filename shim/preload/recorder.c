#include "recorder.h"

#include "guard.h"
#include "hot.h"
#include "process.h"
#include "query.h"
#include "thread.h"

#include "trace/clock.h"
#include "trace/identity.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static const struct recvshim_control nothing_recorded;
HOT _Atomic(const struct recvshim_control *) recorder_control = &nothing_recorded;

/* Written by recorder_start() before it publishes recorder_control, and never again. */
static struct trace trace;

/* What a store needs of it, on one cache line: the system call just made has left little of ours in the caches. */
static alignas(64) struct {
    struct recvshim_cursor *cursors;
    struct recvshim_slot *slots;
    uint64_t slot_mask;
    uint32_t slots_log2;
    uint32_t shard_mask;
    uint64_t laps; /* that may be written: 1 where a full shard is to stop */
    struct recvshim_counters *counters;
} ring;

const struct recvshim_record recorder_blank = {.fd = -1, .call = RECVSHIM_CALL_NONE};

static char comm[16];

/* Relaxed: a count. */
static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* In the process table, not in the ring, where it would be overwritten. */
static void say_hello(uint32_t pid, uint32_t parent, uint64_t time)
{
    uint64_t index = atomic_fetch_add_explicit(&trace.counters->processes, 1, memory_order_relaxed);
    if (index >= trace.header.processes)
        return;
    struct recvshim_process *entry = &trace.processes[index];
    entry->parent = parent;
    entry->start = time;
    memcpy(entry->comm, comm, sizeof entry->comm);
    /* Release: whoever sees the pid sees the rest. */
    atomic_store_explicit(&entry->pid, pid, memory_order_release);
    /* Release: and so does whoever sees that a record of ours has a position. */
    atomic_thread_fence(memory_order_release);
}

static void store_of_process(enum recvshim_event event, int64_t result, uint64_t time)
{
    struct recvshim_record record = recorder_blank;
    record.time = time;
    record.result = result;
    record.event = (uint8_t)event;
    if (recorder_tracing() && recorder_wants(event))
        recorder_store(&record);
}

void recorder_exit(int status)
{
    if (process_exits())
        store_of_process(RECVSHIM_EVENT_EXIT, status, clock_now());
}

/* A record without a writer that could be named: counted, at a position that stays empty. */
__attribute__((cold, noinline)) static void drop(void)
{
    struct recvshim_cursor *cursor = &ring.cursors[(uint32_t)thread_cpu() & ring.shard_mask];
    count(&cursor->cursor);
    count(&cursor->dropped);
}

/* A process or a thread that stores its first record, of this time: a process begins before it. The pid is 0 where it
 * cannot be told who it is. */
__attribute__((cold, noinline)) static struct process_self meet(uint64_t time)
{
    struct process_self self;
    uint32_t parent;
    const int error = errno;
    bool first = process_renew(&self, &parent, query_allowed());
    errno = error;
    if (!first || self.pid == 0)
        return self;
    /* A child that unshare(CLONE_NEWPID) put into a namespace of its own. */
    if (parent == 0)
        count(&trace.counters->foreign);
    say_hello(self.pid, parent, time - 1);
    store_of_process(RECVSHIM_EVENT_START, 0, time - 1);
    return self;
}

struct trace_error recorder_start(const char *path, const struct trace_options *options)
{
    struct trace_error error = trace_join(path, options, &trace);
    if (error.what != NULL)
        return error;
    /* Memory of `run` is sealed against shrinking; a file with a name can be truncated under us. */
    if (!trace_path_is_memory(path))
        guard_start(trace.base, (size_t)trace.layout.size);
    ring.cursors = trace.cursors;
    ring.slots = trace.slots;
    ring.slot_mask = trace.header.slots - 1;
    ring.slots_log2 = (uint32_t)__builtin_ctzll(trace.header.slots);
    ring.shard_mask = trace.header.shards - 1;
    ring.counters = trace.counters;
    ring.laps = trace.header.mode == RECVSHIM_MODE_STOP ? 1 : UINT64_MAX;
    prctl(PR_GET_NAME, comm);
    if (identity_pid_namespace() != trace.header.pid_namespace)
        count(&trace.counters->foreign);
    struct process_self self;
    uint32_t parent;
    bool first = process_renew(&self, &parent, true);
    uint64_t time = clock_now();
    if (first)
        say_hello(self.pid, parent, time);
    atomic_store_explicit(&recorder_control, trace.control, memory_order_release);
    if (first)
        store_of_process(RECVSHIM_EVENT_START, 0, time);
    return error;
}

/* Where there is no trace to give ids. */
static bool numbered;
static _Atomic uint64_t own_connections;

uint64_t recorder_new_connection(void)
{
    const struct recvshim_control *control = atomic_load_explicit(&recorder_control, memory_order_acquire);
    if (control == &nothing_recorded)
        return numbered ? atomic_fetch_add_explicit(&own_connections, 1, memory_order_relaxed) + 1 : 0;
    return atomic_fetch_add_explicit(&ring.counters->connections, 1, memory_order_relaxed) + 1;
}

void recorder_number_connections(void)
{
    numbered = true;
}

struct recvshim_rule_counters *recorder_rules(void)
{
    return trace.rules;
}

uint64_t recorder_seed(void)
{
    return trace.header.seed;
}

void recorder_overruled(uint64_t signals)
{
    atomic_fetch_or_explicit(&ring.counters->overruled_signals, signals, memory_order_relaxed);
    /* Release: who sees the count sees the signals. */
    atomic_fetch_add_explicit(&ring.counters->overruled, 1, memory_order_release);
}

void recorder_overruled_ended(void)
{
    count(&ring.counters->overruled_ended);
}

/* FNV-1a. */
static uint32_t hash(const char *bytes, size_t length)
{
    uint32_t value = 2166136261U;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (uint8_t)bytes[i]) * 16777619U;
    return value;
}

uint32_t recorder_name(const char *path, size_t length)
{
    enum { FREE, BUSY, WHOLE, PROBES = 8 };
    if (trace.names == NULL || length > sizeof trace.names->text)
        return 0;
    uint32_t at = hash(path, length);
    for (int probe = 0; probe < PROBES; probe++, at++) {
        struct recvshim_name *name = &trace.names[at & (trace.header.names - 1)];
        uint32_t state = FREE;
        if (atomic_compare_exchange_strong_explicit(&name->state, &state, BUSY, memory_order_acquire,
                                                    memory_order_acquire)) {
            name->length = (uint32_t)length;
            memcpy(name->text, path, length);
            atomic_store_explicit(&name->state, WHOLE, memory_order_release);
            return (at & (trace.header.names - 1)) + 1;
        }
        /* A busy one may hold the same path by the time it is whole: it then stands there twice, which does no harm,
         * while waiting for it could. Acquire above: a whole name's text may be read. */
        if (state == WHOLE && name->length == length && memcmp(name->text, path, length) == 0)
            return (at & (trace.header.names - 1)) + 1;
    }
    count(&trace.counters->nameless);
    return 0;
}

static struct recvshim_slot *slot_at(uint32_t shard, uint64_t position)
{
    return &ring.slots[((uint64_t)shard << ring.slots_log2) + (position & ring.slot_mask)];
}

/* A ring is larger than the caches, so each slot has left them by the time it is used again, and the claim, being
 * atomic, would wait for memory. Fetched one record ahead, it comes while the program works. */
static void fetch_ahead(const struct recvshim_slot *slot)
{
    __builtin_prefetch(&slot->state, 1);
    __builtin_prefetch(&slot->tail, 1);
}

/* The orders are those that tests/model shows to be enough on any machine, and each of them to be needed. Every store
 * here depends on a load before it (of the position, of the state), so none can be seen before that load is done, which
 * the model takes for granted. */
void recorder_store(struct recvshim_record *record)
{
    struct process_self self;
    if (!process_known(&self)) {
        self = meet(record->time);
        if (self.pid == 0) {
            drop();
            return;
        }
    }
    record->pid = self.pid;
    record->tid = self.tid;

    /* A shard for each CPU: threads meet on a cursor only if one is moved between these two lines. Where the CPU cannot
     * be told (-1) the last shard serves. */
    uint32_t shard = (uint32_t)thread_cpu() & ring.shard_mask;
    struct recvshim_cursor *cursor = &ring.cursors[shard];

    /* 1. A position of our own. Relaxed: it orders nothing, it only must not be given twice. */
    uint64_t position = atomic_fetch_add_explicit(&cursor->cursor, 1, memory_order_relaxed);
    uint64_t lap = position >> ring.slots_log2;
    if (lap >= ring.laps) {
        count(&cursor->dropped);
        return;
    }

    /* 2. Its slot must be free. Busy: its owner was interrupted, possibly by the very handler that we run in, and may
     * never be waited for. A lap not older than ours: we were, for a whole lap of the ring. */
    struct recvshim_slot *slot = slot_at(shard, position);
    uint64_t word = atomic_load_explicit(&slot->state, memory_order_relaxed);
    uint64_t claim = recvshim_state_word(lap, self.tid, RECVSHIM_STATE_BUSY);
    /* 3. Claim it. Acquire, which meets the release of the last owner or of who gave the slot back: each word of ours
     * comes after the last owner's in the order of that word, and is not hidden by it again. */
    if (recvshim_state_of(word) == RECVSHIM_STATE_BUSY || recvshim_laps_of(word) > lap ||
        !atomic_compare_exchange_strong_explicit(&slot->state, &word, claim, memory_order_acquire,
                                                 memory_order_relaxed)) {
        count(&cursor->dropped);
        return;
    }

    /* 4. Fill it. Release, which meets the acquire fence of a reader: whoever has copied any word of ours into an older
     * record finds the slot claimed when it looks at the state again. And for cp, which does not look again: has it any
     * word of ours, it has our tail. That the tail may be seen before the claim costs a record that is about to go. */
    atomic_store_explicit(&slot->tail, claim, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
#pragma GCC unroll 14 /* GCC takes each atomic for a call, and would keep the loop */
    for (size_t i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++) {
        uint64_t payload;
        memcpy(&payload, (const char *)record + i * sizeof payload, sizeof payload);
        atomic_store_explicit(&slot->payload[i], payload, memory_order_relaxed);
    }
    /* Release, which meets the acquire of a reader and of the next owner: whoever sees `done` sees the whole record. */
    atomic_store_explicit(&slot->state, recvshim_state_word(lap, self.tid, RECVSHIM_STATE_DONE), memory_order_release);
    fetch_ahead(slot + 1); /* nearly always the next; what lies behind the last one is not accessed by a prefetch */
}
