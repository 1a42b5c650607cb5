/* fill_trace FILE RECORDS [CONNECTIONS]: make a trace that holds that many whole records, spread over its shards as
 * busy CPUs would, to measure how fast they are printed and counted. With CONNECTIONS, each of them is accepted,
 * receives when chance will have it, and is closed. */
#include "trace/trace_file.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A mixture: TCP over IPv4 and UDP from link-local addresses, a few ends of connections. */
static struct recvshim_record make_record(uint64_t number, uint64_t time)
{
    struct recvshim_record record = {.time = time,
                                     .connection = 1 + number % 50,
                                     .result = (int64_t)(1 + number % 1448),
                                     .requested = 16384,
                                     .pid = 4242,
                                     .tid = 4242 + (uint32_t)number % 4,
                                     .fd = 5 + (int32_t)(number % 50),
                                     .call = (uint8_t)(number % RECVSHIM_CALLS),
                                     .flags = number % 8 == 0 ? MSG_DONTWAIT : 0,
                                     .local_port = 5555,
                                     .result_flags = RECVSHIM_RESULT_PEER};
    if (number % 2 == 0) {
        record.family = AF_INET;
        record.port = (uint16_t)(40000 + number % 50);
        memcpy(record.address, (uint8_t[]){127, 0, 0, (uint8_t)(1 + number % 50)}, 4);
    } else {
        record.family = AF_INET6;
        record.port = 443;
        record.scope = 2;
        memcpy(record.address, (uint8_t[]){0xfe, 0x80, [15] = (uint8_t)(1 + number % 50)}, 16);
    }
    if (number % 100 == 99) {
        record.event = RECVSHIM_EVENT_DISCONNECT;
        record.result = 0;
    }
    return record;
}

/* The records of so many connections, in an order that no cache foresees: neighbours in time have nothing in common. */
static struct recvshim_record make_connected(uint64_t number, uint64_t time, uint64_t records, uint64_t connections)
{
    bool opens = number < connections, closes = number >= records - connections;
    uint64_t chosen = (opens || closes ? number : number * UINT64_C(0x9e3779b97f4a7c15) >> 20) % connections;
    struct recvshim_record record = make_record(chosen, time);
    record.connection = 1 + chosen;
    record.result = (int64_t)(1 + number % 1448);
    record.event = RECVSHIM_EVENT_RECEIVE;
    record.socket_type = SOCK_STREAM;
    record.port = (uint16_t)(1024 + chosen % 60000);
    memcpy(record.address, (uint8_t[]){10, (uint8_t)(chosen >> 16), (uint8_t)(chosen >> 8), (uint8_t)chosen}, 4);
    if (opens || closes) {
        record.event = opens ? RECVSHIM_EVENT_ACCEPT : RECVSHIM_EVENT_CLOSE;
        record.call = RECVSHIM_CALL_NONE;
        record.requested = 0;
        record.result = opens ? record.fd : 0;
        record.result_flags |= closes ? RECVSHIM_RESULT_CONNECTED : 0;
    }
    return record;
}

static void store(const struct trace *trace, uint32_t shard, const struct recvshim_record *record)
{
    uint64_t position = atomic_fetch_add(&trace->cursors[shard].cursor, 1), slots = trace->header.slots;
    struct recvshim_slot *slot = &trace->slots[shard * slots + position % slots];
    uint64_t words[RECVSHIM_PAYLOAD_WORDS],
        done = recvshim_state_word(position / slots, record->tid, RECVSHIM_STATE_DONE);
    memcpy(words, record, sizeof words);
    atomic_store(&slot->tail, done);
    for (size_t i = 0; i < RECVSHIM_PAYLOAD_WORDS; i++)
        atomic_store_explicit(&slot->payload[i], words[i], memory_order_relaxed);
    atomic_store(&slot->state, done);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "Usage: fill_trace FILE RECORDS [CONNECTIONS]\n");
        return 2;
    }
    uint64_t records = strtoull(argv[2], NULL, 10), connections = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    if (connections > records / 2) {
        fprintf(stderr, "fill_trace: %s: each connection has two records at least\n", argv[3]);
        return 2;
    }
    /* The room is rounded down to a power of two of slots in each shard: twice the records always fit. */
    uint64_t size = 2 * records * RECVSHIM_RECORD_SIZE;
    struct trace_options options = {.size = size > TRACE_SIZE_MIN ? size : TRACE_SIZE_MIN,
                                    .mode = RECVSHIM_MODE_OVERWRITE,
                                    .events = RECVSHIM_EVENTS_ALL,
                                    .tracing = true};
    struct trace trace;
    struct trace_error error = trace_create(argv[1], &options);
    if (error.what == NULL)
        error = trace_open(argv[1], TRACE_CONTROL, &trace);
    if (error.what != NULL) {
        fprintf(stderr, "fill_trace: %s: %s: %s\n", argv[1], error.what, strerror(error.error));
        return 1;
    }

    struct recvshim_process *process = &trace.processes[0];
    process->start = trace.header.monotonic;
    strcpy(process->comm, "fill_trace");
    atomic_store(&process->pid, 4242);
    atomic_store(&trace.counters->processes, 1);
    for (uint64_t number = 0; number < records; number++) {
        /* Bursts on one CPU, then the other: 10 us between two records, now and then a little out of order. */
        uint64_t time = trace.header.monotonic + number * 10000 - (number % 64 == 0 ? 15000 : 0);
        struct recvshim_record record =
            connections != 0 ? make_connected(number, time, records, connections) : make_record(number, time);
        store(&trace, (uint32_t)(number / 8) % trace.header.shards, &record);
    }
    trace_close(&trace);
    return 0;
}
