/* A trace with a bit of everything, for the tests of what is made of it. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "fixture.h"

#define SAMPLE_SECOND 1000000000U

/* An empty trace at `path`, mapped to be written: whoever looks finds it in use until it is closed. */
struct trace sample_recording(enum recvshim_mode mode, uint64_t slots);

/* An event of a TCP connection from 10.0.0.CONNECTION, so many milliseconds after the trace began. */
struct recvshim_record sample_event(uint8_t kind, uint64_t connection, uint64_t milliseconds);
void sample_store(const struct trace *trace, struct recvshim_record record);
void sample_receive(const struct trace *trace, uint64_t connection, uint64_t milliseconds, int64_t size);

/* The receive as one that was retried, or that stayed interrupted; the signals as signal_names_parse() takes them. */
struct recvshim_record sample_retried(struct recvshim_record record, uint32_t retries, uint16_t flags,
                                      const char *signals);
struct recvshim_record sample_interrupted(struct recvshim_record record, uint16_t flags, const char *signals);
#define EXACT      RECVSHIM_RESULT_SIGNALS
#define CANDIDATES RECVSHIM_RESULT_CANDIDATES
#define PASSED     RECVSHIM_RESULT_PASSED
#define INTENT     RECVSHIM_RESULT_INTENT

/* Such a trace with four connections: 1 whose peer closed it, 2 that is open, 3 a socket of datagrams from two peers, 4
 * that was refused. Of two processes, one with a hostile name. */
struct trace sample_trace(void);

#endif
