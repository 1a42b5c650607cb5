/* What a connection's totals mean: how it ended, and whether they can be all. Pure. */
#ifndef VERDICT_H
#define VERDICT_H

#include "totals.h"
#include "trace/read.h"

enum end {
    END_OPEN,           /* as far as the trace tells */
    END_DISCONNECT,     /* `cause` tells more */
    END_CONNECT_FAILED, /* it never came to be: `error` */
    END_CLOSED,         /* by the program, without having read the peer's end */
    END_EXIT,           /* with its process */
    END_UNKNOWN,        /* it may be among what is missing */
};

struct ending {
    enum end end;
    enum cause cause; /* of a disconnect */
    int error;        /* errno of a connect that failed */
    enum first first; /* who ended it, of a disconnect or close */
};

/* `exited`: its process ended, or nobody writes the trace any more. */
struct ending verdict_ending(const struct connection *connection, bool exited);

/* Whether its end, if none is there, may have been lost: overwritten, as the quieter CPUs' shards keep what is older;
 * or dropped by a trace that was `full`, which drops everything from some time on. */
bool verdict_end_lost(const struct connection *connection, const struct reader_account *account, bool full);

/* The name of the end: a cause, an errno, "closed", "exit", "open" or "?". */
const char *ending_name(const struct ending *ending);

/* NULL where that cannot be told. */
const char *first_name(enum first first);

/* Whether the program learnt that a connect has failed: not that it is under way, or done already. */
bool connect_failed(int error);

/* Whether nothing of a connection can have been lost. `childless`: no process in the trace is a child of its process,
 * and all that there were are known.
 *
 * Two things must hold. (1) Nothing of it was overwritten. What was overwritten is older than complete_since; so it
 * must have begun later, and its beginning be proven: by accept, or by connect of a stream, before either of which
 * nothing can have been received. A socket that just has its first record there may have had others. (2) Nothing of it
 * was dropped, or died with its writer. These are of gaps_since or later; so it must have ended earlier: its peer's end
 * was received, after which nothing more can be; or its last record is a close, by a process that cannot have shared
 * it. (A duplicate within the same process, used after that close, would escape this.) */
bool verdict_complete(const struct connection *connection, const struct reader_account *account, bool childless);

#endif
