/* What interrupted a receive and what became of it: of one record, of many, and in words. */
#ifndef INTERRUPTION_H
#define INTERRUPTION_H

#include "recvshim/trace.h"

#include <stdbool.h>

enum outcome {
    OUTCOME_NONE,    /* it was not interrupted */
    OUTCOME_RETRIED, /* the program did not notice */
    OUTCOME_PASSED,  /* EINTR reached the program because the policy or the pass list let it */
    OUTCOME_LEFT,    /* EINTR reached the program because it cannot be retried */
    OUTCOMES,
};

enum certainty {
    CERTAINTY_UNKNOWN,    /* of the signals nothing is known */
    CERTAINTY_CANDIDATES, /* they may have interrupted it; none: SIGSTOP and SIGCONT alone can have */
    CERTAINTY_EXACT,      /* their handlers ran */
};

struct interruption {
    enum outcome outcome;
    enum certainty certainty;
    uint64_t signals; /* a set as of signal_bit() */
};

/* Of any record, a hostile one as well. */
struct interruption interruption_of(const struct recvshim_record *record);

/* "retried", "passed", "left" */
extern const char *const outcome_names[OUTCOMES];

/* Call `each` with the name of every signal in the set, in the order of their numbers. */
void signals_for_each(uint64_t signals, void (*each)(void *context, const char *name), void *context);

/* " after SIGALRM and SIGUSR1", ", perhaps after SIGALRM, SIGTERM or SIGHUP", with another preposition as that says.
 * Nothing where nothing is known. Of many signals the likeliest are named, and the others counted. */
#define INTERRUPTION_WORDS_MAX 160
void interruption_words(const struct interruption *interruption, const char *preposition,
                        char words[INTERRUPTION_WORDS_MAX]);

/* What many of them add up to: receives of the same outcome, certainty and signals together, as far as there is room.
 */
#define INTERRUPTIONS_MAX 64
struct interruption_sums {
    struct interruption interruption;
    uint64_t receives;
    uint64_t retries;
};
struct interruptions {
    struct interruption_sums rows[INTERRUPTIONS_MAX];
    size_t count;
    struct interruption_sums others[OUTCOMES]; /* those beyond the rows */
};
/* A record that was not interrupted adds nothing. */
void interruptions_add(struct interruptions *interruptions, const struct recvshim_record *record);
/* By outcome; then the most receives first. */
void interruptions_sort(struct interruptions *interruptions);

/* Receives that were retried, and that the policy `intent` would have let end with EINTR. */
struct against_intent {
    uint64_t receives;
    uint64_t uncertain; /* those of them whose signals are not known, or candidates */
    uint64_t signals;   /* that programs stop or time out a receive by, where there is one of these */
};
void against_intent_note(struct against_intent *against, const struct recvshim_record *record);

static inline void against_intent_add(struct against_intent *against, const struct recvshim_record *record)
{
    if ((record->result_flags & RECVSHIM_RESULT_INTENT) != 0)
        against_intent_note(against, record);
}

/* What a person should make of it, and do. Returns false, and says nothing, where there is nothing to say. */
#define AGAINST_INTENT_WORDS_MAX 384
bool against_intent_words(const struct against_intent *against, char words[AGAINST_INTENT_WORDS_MAX]);

#endif
