/* Receives that go on waiting although the program may have meant a signal to end them. A record tells of one when it
 * is over; one that never is has to be told of while it waits. */
#ifndef OVERRULED_H
#define OVERRULED_H

#include "trace/trace_file.h"

#define OVERRULED_PATIENCE_NS UINT64_C(1000000000)

struct overruled {
    uint64_t begun;  /* how many there had been when we began to look */
    uint64_t before; /* of these, the fewest that were ever seen not to have returned: some never will */
    uint64_t since;  /* when one of ours was first seen waiting, as clock_now(); 0 while there is none */
    bool told;
};

/* Begin to look. Returns false if the trace was cut short. */
bool overruled_begin(struct overruled *overruled, const struct trace *trace);

/* Whether it is time to say, once, that some have been waiting for OVERRULED_PATIENCE_NS: *words are what to say. */
#define OVERRULED_WORDS_MAX 384
bool overruled_look(struct overruled *overruled, const struct trace *trace, uint64_t now,
                    char words[OVERRULED_WORDS_MAX]);

/* How many there have been since the beginning, and the signals; 0 if the trace was cut short. */
uint64_t overruled_count(const struct overruled *overruled, const struct trace *trace, uint64_t *signals);

#endif
