#include "sample.h"

#include "shell.h"
#include "trace/signal_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct trace sample_recording(enum recvshim_mode mode, uint64_t slots)
{
    struct recvshim_header header = fixture_header();
    header.mode = mode;
    header.slots = slots;
    int memory = fixture_file(&header, 0);
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);
    void *bytes = calloc(1, (size_t)layout.size);
    cr_assert_eq(pread(memory, bytes, (size_t)layout.size, 0), (ssize_t)layout.size);
    write_file(bytes, (size_t)layout.size, 0600);
    free(bytes);
    close(memory);
    struct trace trace;
    cr_assert_null(trace_open(path, TRACE_RECORD, &trace).what);
    return trace;
}

struct recvshim_record sample_event(uint8_t kind, uint64_t connection, uint64_t milliseconds)
{
    struct recvshim_record record = fixture_record(SAMPLE_SECOND + milliseconds * 1000000U, 0);
    record.event = kind;
    record.call = kind < RECVSHIM_EVENT_CONNECT ? RECVSHIM_CALL_RECV : RECVSHIM_CALL_NONE;
    record.connection = connection;
    record.socket_type = SOCK_STREAM;
    record.family = AF_INET;
    record.port = 80;
    record.result_flags = RECVSHIM_RESULT_PEER | RECVSHIM_RESULT_CONNECTED;
    memcpy(record.address, (uint8_t[]){10, 0, 0, (uint8_t)connection}, 4);
    return record;
}

void sample_store(const struct trace *trace, struct recvshim_record record)
{
    fixture_store(trace, 0, &record);
}

void sample_receive(const struct trace *trace, uint64_t connection, uint64_t milliseconds, int64_t size)
{
    struct recvshim_record record = sample_event(RECVSHIM_EVENT_RECEIVE, connection, milliseconds);
    record.result = size;
    sample_store(trace, record);
}

struct recvshim_record sample_retried(struct recvshim_record record, uint32_t retries, uint16_t flags,
                                      const char *signals)
{
    record.retries = retries;
    record.result_flags |= flags;
    cr_assert(signal_names_parse(signals, &record.signals), "%s", signals);
    return record;
}

struct recvshim_record sample_interrupted(struct recvshim_record record, uint16_t flags, const char *signals)
{
    record = sample_retried(record, 0, flags, signals);
    record.event = RECVSHIM_EVENT_INTERRUPTED;
    record.result = -1;
    record.error = EINTR;
    return record;
}

struct trace sample_trace(void)
{
    struct trace trace = sample_recording(RECVSHIM_MODE_OVERWRITE, 64);
    struct recvshim_record record = sample_event(RECVSHIM_EVENT_ACCEPT, 1, 0);
    fixture_process(&trace, 42, 0, "curl");
    fixture_process(&trace, 43, 0, "a\033[31m\"b\\\n\xff");
    record.result_flags |= RECVSHIM_RESULT_LOCAL;
    record.local_port = 5555;
    memcpy(record.local_address, (uint8_t[]){127, 0, 0, 1}, 4);
    sample_store(&trace, record);
    sample_receive(&trace, 1, 1, 100);
    record = sample_event(RECVSHIM_EVENT_RECEIVE, 1, 2);
    record.result = 3;
    record.retries = 2;
    record.duration = 1500;
    record.result_flags |= RECVSHIM_RESULT_DURATION;
    sample_store(&trace, record);
    record = sample_event(RECVSHIM_EVENT_DISCONNECT, 1, 1500);
    record.result_flags |= RECVSHIM_RESULT_TCP;
    record.tcp = (struct recvshim_tcp){.rtt = 1234, .retransmits = 5, .state = TCP_CLOSE_WAIT};
    sample_store(&trace, record);
    sample_receive(&trace, 2, 10, 7);
    for (uint8_t host = 1; host <= 2; host++) {
        record = sample_event(RECVSHIM_EVENT_RECEIVE, 3, 20);
        record.socket_type = SOCK_DGRAM;
        record.pid = record.tid = 43;
        record.family = AF_INET6;
        record.scope = 2;
        record.local_port = 53;
        memcpy(record.address, (uint8_t[]){0xfe, 0x80, [15] = host}, 16);
        record.result = 50;
        sample_store(&trace, record);
    }
    record = sample_event(RECVSHIM_EVENT_CONNECT, 4, 30);
    record.result = -1;
    record.error = ECONNREFUSED;
    sample_store(&trace, record);
    return trace;
}
