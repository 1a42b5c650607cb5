/* One event as a format prints it, in a trace of a few processes and names. */
#ifndef PRINTING_H
#define PRINTING_H

#include "fixture.h"

/* Around each test: times are told in UTC. */
void use_utc(void);

extern struct output output;
/* What has been printed to it, as a string; closes its descriptor. */
const char *take_printed(void);

/* All that the format prints for a trace with one record, beginning and end too. Processes: 42, a child of 11, is
 * "curl"; 43 has an awkward name, 44 one with a comma. Names: 1 is awkward and abstract, 2 is /run/app.sock. */
const char *print(const struct format *format, const struct recvshim_record *record, bool colour);

/* A recvfrom that returned 1448, 1.5 s after the trace's monotonic moment. */
struct recvshim_record base_record(void);
struct recvshim_record with_peer(uint16_t family, const void *address, size_t length);

/* The line of text, after the time. */
void expect_text(const struct recvshim_record *record, const char *expected);

/* How a receive into which nothing was injected ends in JSON, and any other event; both in CSV. */
#define JSON_NO_FAULTS  ",\"faults\":[],\"fault\":null}\n"
#define JSON_NO_RECEIVE ",\"faults\":null,\"fault\":null}\n"
#define CSV_NO_FAULTS   ",,,,,,\n"

#define JSON_START "{\"time\":\"2001-09-09T01:46:41.623456789Z\","

#endif
