/* The processes of a program that runs: which of them were not traced, and why.
 *
 * Looked for in /proc now and then, at no cost to them: who lives shorter than from one look to the next, some 20 ms,
 * is known by the trace alone. What the trace tells is who began to write there, and who said goodbye. */
#ifndef FAMILY_H
#define FAMILY_H

#include "running.h"
#include "trace/lookup.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAMILY_LOST_MAX     32 /* kinds of processes that are told of */
#define FAMILY_PROGRAMS_MAX 8

struct member {
    pid_t pid;
    uint64_t born;  /* in clock ticks since boot: a pid may come again */
    uint64_t image; /* differs from one exec to the next; 0 where it may not be seen */
    char comm[16];
    enum member_state {
        MEMBER_NEW, /* nothing is known yet: its loader may be at work */
        MEMBER_TRACED,
        MEMBER_LOST,
    } state;
    uint64_t apart; /* when it was first found to have the library and not the trace; 0: it was not */
    size_t lost;    /* of the family's `lost`, from 1, what it is counted with; 0: it is not counted */
    uint64_t seen;  /* traced, at the last look; 0: not then */
    uint64_t kept;  /* at the look before, in the same image: it did not just pass through it */
};

/* One that was not traced, and the others like it. */
struct lost {
    pid_t pid; /* 0: it was found after all */
    char comm[64];
    char program[PATH_MAX];
    enum inspect_verdict verdict;
    char reason[512];
    size_t others;
    uint64_t since; /* when it was first seen so */
};

/* Its goodbye. */
struct departure {
    uint32_t pid;
    uint64_t time;
};

struct family {
    const struct trace *trace;
    const struct process_list *known; /* who began to write to the trace: it may grow */
    pid_t pid;                        /* the eldest */
    uint64_t since;                   /* when it was started, on the trace's clock */
    bool shared;                      /* others than the family may write to the trace */
    uint64_t looked;                  /* last */
    uint64_t greeted;                 /* who said hello up to then has been looked at */
    int64_t credit;                   /* ns that looking may take by now */
    struct member *members;
    size_t count, room;
    struct departure *departures;
    size_t departure_count, departure_room;
    bool incomplete;      /* memory ran out: some departures are not known */
    uint64_t connections; /* that were accepted, or asked for and not refused at once */
    struct lost lost[FAMILY_LOST_MAX];
    size_t lost_count, lost_more;
    char programs[FAMILY_PROGRAMS_MAX][PATH_MAX]; /* of those that were traced */
    size_t program_count;
};

void family_begin(struct family *family, const struct trace *trace, const struct process_list *known, pid_t pid,
                  uint64_t since, bool shared);
void family_free(struct family *family);

/* Look, unless that has cost too much so far: 1 % of a CPU is what it may take. To be called every 20 ms or so. */
void family_look(struct family *family);

/* For each record of the trace, as feed's `observe`. */
void family_observe(void *family, const struct recvshim_record *record);

/* How the eldest ended. */
struct family_end {
    const char *name; /* of the command */
    const char *comm; /* of the process, as it ended */
    bool killed;      /* by a signal */
    bool told;        /* why it could not be traced was said before it started */
    bool departures;  /* nobody's goodbye can be missing from the trace */
};

/* Say who was not traced, and why, a line each. Returns whether there was anything to say. */
bool family_report(struct family *family, const struct family_end *end);

#endif
