#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct recvshim_header fixture_header(void)
{
    return (struct recvshim_header){
        .magic = {'r', 'e', 'c', 'v', 's', 'h', 'i', 'm'},
        .version = RECVSHIM_VERSION,
        .byte_order = RECVSHIM_BYTE_ORDER,
        .record_size = RECVSHIM_RECORD_SIZE,
        .shards = FIXTURE_SHARDS,
        .slots = FIXTURE_SLOTS,
        .processes = 4,
        .names = 4,
        .clock = CLOCK_MONOTONIC,
        .monotonic = 1000000000,
        .realtime = UINT64_C(1000000000) * 1000000000,
    };
}

int fixture_file(const struct recvshim_header *header, long extra)
{
    struct recvshim_layout layout = recvshim_layout(header->shards, header->slots, header->processes, header->names);
    int fd = memfd_create("fixture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)layout.size + extra), 0);
    cr_assert_eq(pwrite(fd, header, sizeof *header, 0), (ssize_t)sizeof *header);
    return fd;
}

struct trace fixture_trace(enum recvshim_mode mode)
{
    struct recvshim_header header = fixture_header();
    header.mode = mode;
    struct trace trace;
    struct trace_error error = trace_map(fixture_file(&header, 0), TRACE_CONTROL, &trace);
    cr_assert_null(error.what);
    return trace;
}

struct recvshim_record fixture_record(uint64_t time, int64_t result)
{
    return (struct recvshim_record){
        .time = time, .result = result, .requested = 100, .pid = 42, .tid = 42, .fd = 5, .connection = 7};
}

struct recvshim_record fixture_fault(uint64_t time, enum recvshim_action action, uint64_t value, uint64_t origin,
                                     uint64_t ordinal)
{
    struct recvshim_record record = fixture_record(time, (int64_t)value);
    record.event = RECVSHIM_EVENT_FAULT;
    record.injected = (uint16_t)(1U << action);
    record.error = (uint16_t)(action == RECVSHIM_ACTION_ERROR ? value : 0);
    record.rule = 1;
    record.ordinal = ordinal;
    record.injection.origin = origin;
    record.injection.draw = action == RECVSHIM_ACTION_CORRUPT ? origin ^ ordinal : 0;
    return record;
}

static struct recvshim_slot *slot_of(const struct trace *trace, uint32_t shard, uint64_t position)
{
    return &trace->slots[shard * trace->header.slots + position % trace->header.slots];
}

uint64_t fixture_position(const struct trace *trace, uint32_t shard)
{
    return atomic_fetch_add_explicit(&trace->cursors[shard].cursor, 1, memory_order_relaxed);
}

bool fixture_claim(const struct trace *trace, uint32_t shard, uint64_t position, uint32_t tid)
{
    struct recvshim_slot *slot = slot_of(trace, shard, position);
    uint64_t lap = position / trace->header.slots;
    uint64_t word = atomic_load_explicit(&slot->state, memory_order_relaxed);
    bool late = trace->header.mode == RECVSHIM_MODE_STOP && lap > 0;
    uint64_t claim = recvshim_state_word(lap, tid, RECVSHIM_STATE_BUSY);
    if (late || recvshim_state_of(word) == RECVSHIM_STATE_BUSY || recvshim_laps_of(word) > lap ||
        !atomic_compare_exchange_strong_explicit(&slot->state, &word, claim, memory_order_acquire,
                                                 memory_order_relaxed)) {
        atomic_fetch_add_explicit(&trace->cursors[shard].dropped, 1, memory_order_relaxed);
        return false;
    }
    atomic_store_explicit(&slot->tail, claim, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return true;
}

void fixture_fill(const struct trace *trace, uint32_t shard, uint64_t position, const struct recvshim_record *record)
{
    struct recvshim_slot *slot = slot_of(trace, shard, position);
    uint64_t words[RECVSHIM_PAYLOAD_WORDS];
    memcpy(words, record, sizeof words);
    for (size_t i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
        atomic_store_explicit(&slot->payload[i], words[i], memory_order_relaxed);
}

void fixture_finish(const struct trace *trace, uint32_t shard, uint64_t position, uint32_t tid)
{
    uint64_t done = recvshim_state_word(position / trace->header.slots, tid, RECVSHIM_STATE_DONE);
    atomic_store_explicit(&slot_of(trace, shard, position)->state, done, memory_order_release);
}

void fixture_store(const struct trace *trace, uint32_t shard, const struct recvshim_record *record)
{
    uint64_t position = fixture_position(trace, shard);
    if (!fixture_claim(trace, shard, position, record->tid))
        return;
    fixture_fill(trace, shard, position, record);
    fixture_finish(trace, shard, position, record->tid);
}

void fixture_process(const struct trace *trace, uint32_t pid, uint64_t start, const char *comm)
{
    uint64_t index = atomic_fetch_add(&trace->counters->processes, 1);
    if (index >= trace->header.processes)
        return;
    struct recvshim_process *process = &trace->processes[index];
    process->start = start;
    memcpy(process->comm, comm, strnlen(comm, sizeof process->comm));
    atomic_store(&process->pid, pid);
}

size_t fixture_read(struct reader *reader, int64_t results[], size_t room)
{
    struct references references = {0};
    struct recvshim_record record;
    size_t count = 0;
    cr_assert(reader_collect(reader, &references));
    cr_assert(references_sort(&references));
    for (size_t i = 0; i < references.count; i++) {
        if (!reader_fetch(reader, references.items[i], &record))
            continue;
        cr_assert_lt(count, room);
        results[count++] = record.result;
    }
    references_free(&references);
    return count;
}

void fixture_check_account(const struct reader_account *account)
{
    cr_assert_eq(account->cursor,
                 account->delivered + account->overwritten + account->dropped + account->died + account->pending);
}
