/* Small traces in memory, and what a producer does to them, one step at a time. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "cli/feed.h"
#include "trace/repair.h"

#define FIXTURE_SHARDS 2U
#define FIXTURE_SLOTS  8U

/* What every header begins as: two shards of eight slots, one second on the monotonic clock at 1,000,000,000 s of real
 * time. */
struct recvshim_header fixture_header(void);

/* A file that consists of that header and as many zeros as it calls for, and `extra` bytes more or less. Returns its
 * descriptor. */
int fixture_file(const struct recvshim_header *header, long extra);

/* The same, mapped for everything. */
struct trace fixture_trace(enum recvshim_mode mode);

/* A receive of `result` bytes at a time. */
struct recvshim_record fixture_record(uint64_t time, int64_t result);

/* A fault of rule 1, into the receive of that ordinal on the connection of that origin. */
struct recvshim_record fixture_fault(uint64_t time, enum recvshim_action action, uint64_t value, uint64_t origin,
                                     uint64_t ordinal);

/* The steps of a producer (TRACE.md, "Protocol"): take a position, claim its slot, fill it, declare it whole. */
uint64_t fixture_position(const struct trace *trace, uint32_t shard);
bool fixture_claim(const struct trace *trace, uint32_t shard, uint64_t position, uint32_t tid);
void fixture_fill(const struct trace *trace, uint32_t shard, uint64_t position, const struct recvshim_record *record);
void fixture_finish(const struct trace *trace, uint32_t shard, uint64_t position, uint32_t tid);

/* All steps. */
void fixture_store(const struct trace *trace, uint32_t shard, const struct recvshim_record *record);

/* Add a process to the table. */
void fixture_process(const struct trace *trace, uint32_t pid, uint64_t start, const char *comm);

/* Collect, sort and fetch; the results of the records in that order. Returns how many. */
size_t fixture_read(struct reader *reader, int64_t results[], size_t room);

/* cursor = delivered + overwritten + dropped + died + pending */
void fixture_check_account(const struct reader_account *account);

#endif
