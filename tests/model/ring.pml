/* The ring's protocol: shim/preload/recorder.c writes, shim/trace/read.c reads, shim/trace/repair.c gives back the slots
 * of the dead. One slot, so each position is a lap of it; its payload is two words. Two threads store a record each, a
 * signal handler stores one in the midst of the first thread, or before or after; threads are killed at any point. A
 * reader scans while they write, and gives back what the dead hold; then, once all have ended, it does so for the last
 * time and closes the account.
 *
 * The orders come from the C code, in which model.py finds them; see there for the variants too. */

#include "definitions.pml" /* model.py: the orders, as in the C code, and what is tried */

#define HANDLER 0 /* the thread of the first writer, and of the handler */
#define WRITERS 2
#define READER  2
#define THREADS 3
#ifndef POSITIONS
#define POSITIONS 3
#endif

#define STATE     0
#define TAIL      1
#define PAYLOAD_0 2
#define PAYLOAD_1 3
#define LOCATIONS 4
#define ORDERED(l) ((l) == STATE)
#define MESSAGES  (2 * POSITIONS + 1)

#include "memory.pml"

/* trace.h: the state word, without the owner: each lap has one. */
#define EMPTY     0
#define BUSY      1
#define DONE      2
#define ABANDONED 3
#define WORD(lap, state) (((lap) + 1) << 2 | (state))
#define STATE_OF(word)   ((word) & 3)
#define LAPS_OF(word)    ((word) >> 2)
#ifdef NO_LOOK_AGAIN
#define SAME(again, word) true
#else
#define SAME(again, word) ((again) == (word))
#endif
#ifdef NO_TAIL
#define AGREE(tail, word) true
#else
#define AGREE(tail, word) (((tail) >> 2) == ((word) >> 2))
#endif

/* Never read late by those who add to them; by the reader as late as it may be. */
byte cursor, dropped;

#ifdef STOP
#define LAPS 1 /* of RECVSHIM_MODE_STOP */
#else
#define LAPS 255
#endif
#define LAST(mark) ((mark) > LAPS -> LAPS : (mark)) /* last_position() */

bool interrupted[WRITERS]; /* by a handler */
bool dead[WRITERS];
bool closed;        /* the account */
byte running[WRITERS]; /* how many that write are left of each */

/* What became of each position, for the judge alone. */
byte owner[POSITIONS];
bool whole[POSITIONS], delivered[POSITIONS];

/* ---- recorder_store() ---- */

#ifdef STEAL
#define MAY_NOT_CLAIM(word) false
#else
#define MAY_NOT_CLAIM(word) (STATE_OF(word) == BUSY)
#endif

/* A step of it: the dead make none, nor does a thread whose handler runs. */
#define STEP atomic { !dead[thread] && !(main && interrupted[thread]) ->

inline recorder_store(thread, main)
{
    STEP
        position = cursor; /* STORE_POSITION: an update, so that none is given twice; whatever its order */
        cursor++;
        owner[position] = thread
    }
    if
    :: position >= LAPS -> skip
    :: else ->
        STEP load(thread, STATE, STORE_LOOK, word) }
        if
        :: MAY_NOT_CLAIM(word) || LAPS_OF(word) > position
        :: else ->
            STEP
                compare_exchange(thread, STATE, word, WORD(position, BUSY), STORE_CLAIM, STORE_CLAIM_FAILED, claimed)
            }
        fi
    fi;
    if
    :: !claimed -> STEP dropped++ }
    :: else ->
        STEP store(thread, TAIL, WORD(position, BUSY), STORE_TAIL) }
        STEP
            fence(thread, STORE_FENCE);
            store(thread, PAYLOAD_0, position + 1, STORE_PAYLOAD)
        }
        STEP store(thread, PAYLOAD_1, position + 1, STORE_PAYLOAD) }
        STEP
            store(thread, STATE, WORD(position, DONE), STORE_DONE);
            whole[position] = true
        }
    fi
}

proctype writer(byte thread; bool main)
{
    byte position, word;
    bool claimed;
    if
    :: !main -> atomic { !dead[thread] -> interrupted[thread] = true }
    :: else
    fi;
    recorder_store(thread, main);
    STEP
        position = 0;
        word = 0;
        claimed = false;
        if
        :: !main -> interrupted[thread] = false
        :: else
        fi;
        running[thread]--;
        if
        :: running[thread] == 0 -> forget(thread)
        :: else
        fi
    }
}

/* SIGKILL, whenever it may come, or never. */
proctype killer()
{
    byte killed;
    do
    :: atomic { killed < DEATHS && running[0] > 0 -> dead[0] = true; running[0] = 0; killed++ }
    :: atomic { killed < DEATHS && running[1] > 0 -> dead[1] = true; running[1] = 0; killed++ }
    od
}

/* ---- read.c ---- */

#define WHOLE 0
#define IS_BUSY 1
#define OLDER 2
#define NEWER 3
#define IS_ABANDONED 4

inline standing_of(word, position)
{
    if
    :: LAPS_OF(word) > position + 1 -> standing = NEWER
    :: LAPS_OF(word) < position + 1 -> standing = OLDER
    :: else ->
        if
        :: STATE_OF(word) == DONE -> standing = WHOLE
        :: STATE_OF(word) == BUSY -> standing = IS_BUSY
        :: STATE_OF(word) == ABANDONED -> standing = IS_ABANDONED
        :: else -> standing = OLDER
        fi
    fi
}

/* Take what was copied for a record: the property that all of this is for. */
inline accept(position)
{
    assert(payload_0 == position + 1 && payload_1 == position + 1); /* not torn */
    assert(!delivered[position]);
    delivered[position] = true
}

/* look(): the first word of the payload stands for its time. */
inline look(position)
{
    atomic { load(READER, STATE, NOTE_LOOK, word); standing_of(word, position) }
    if
    :: standing == WHOLE ->
        atomic { load(READER, PAYLOAD_0, NOTE_TIME, payload_0) }
        atomic {
            fence(READER, NOTE_FENCE);
            load(READER, STATE, NOTE_LOOK_AGAIN, again);
            if
            :: again == word -> assert(payload_0 == position + 1)
            :: else -> standing = NEWER
            fi;
            payload_0 = 0;
            again = 0
        }
    :: else
    fi;
    word = 0
}

/* copy_whole() */
inline copy_whole(position)
{
    atomic { load(READER, STATE, COPY_LOOK, word); standing_of(word, position) }
    if
    :: standing == WHOLE ->
        atomic { load(READER, PAYLOAD_0, COPY_PAYLOAD, payload_0) }
        atomic { load(READER, PAYLOAD_1, COPY_PAYLOAD, payload_1) }
        atomic { load(READER, TAIL, COPY_TAIL, tail) }
        atomic {
            fence(READER, COPY_FENCE);
            load(READER, STATE, COPY_LOOK_AGAIN, again);
            if
            :: SAME(again, word) && AGREE(tail, word) -> accept(position)
            :: else -> standing = NEWER
            fi;
            payload_0 = 0;
            payload_1 = 0;
            tail = 0;
            again = 0
        }
    :: else
    fi;
    word = 0
}

/* hand_over(), and in it copy_whole(); with -DNOTED note(), and reader_fetch() of what was noted */
inline hand_over(position)
{
#ifdef NOTED
    look(position);
    if
    :: standing == WHOLE -> copy_whole(position)
    :: else
    fi
#else
    copy_whole(position)
#endif
}

/* repair_slot(): a slot that the reader has put aside */
inline repair_slot()
{
    atomic { load(READER, STATE, REPAIR_LOOK, word) }
    if
    :: STATE_OF(word) == BUSY && dead[owner[LAPS_OF(word) - 1]] ->
        atomic {
            /* kill() said ESRCH: the kernel has put a full barrier between the thread's last store and its removal from
             * the table of processes, and the table's lock between that and us. */
#ifndef NO_DEATH_ORDER
            synchronise(READER, owner[LAPS_OF(word) - 1]);
#endif
            compare_exchange(READER, STATE, word, WORD(LAPS_OF(word) - 1, ABANDONED), REPAIR_CLAIM,
                             REPAIR_CLAIM_FAILED, accepted)
        }
    :: else
    fi;
    word = 0;
    accepted = false
}

/* reader_mark() and reader_scan(), then repair() */
inline scan()
{
    atomic {
        do
        :: mark < cursor -> mark++
        :: mark == cursor || !all_ended -> break
        od
    }
    position = 0;
    do
    :: position < next && aside[position] ->
        hand_over(position);
        aside[position] = (standing == IS_BUSY || (standing == OLDER && mark - position <= 2));
        died = died + (standing == IS_ABANDONED);
        position++
    :: position < next && !aside[position] -> position++
    :: position >= next -> break
    od;
    if
    :: LAST(mark) - next > 1 -> next = LAST(mark) - 1; skipped = next
    :: else
    fi;
    do
    :: next < LAST(mark) ->
        hand_over(next);
        aside[next] = (standing == IS_BUSY || standing == OLDER);
        died = died + (standing == IS_ABANDONED);
        next++
    :: else -> break
    od;
    position = 0;
    do
    :: position < POSITIONS && aside[position] -> repair_slot(); position++
    :: position < POSITIONS && !aside[position] -> position++
    :: position >= POSITIONS -> break
    od;
    position = 0;
    standing = 0
}

/* reader_account(), with nobody writing */
inline account()
{
    byte busy, unclaimed, rest, got, lost;
    d_step {
        for (position : 0 .. POSITIONS - 1) {
            got = got + delivered[position];
            lost = lost + (whole[position] && !delivered[position]);
            if
            :: aside[position] ->
                word = value[AT(STATE, newest[STATE])];
                standing_of(word, position);
                busy = busy + (standing == IS_BUSY);
                unclaimed = unclaimed + (standing != IS_BUSY)
            :: else
            fi
        }
        assert(mark == cursor);
        /* What reader_account() guards against happens in no trace that these have written. */
        rest = cursor - got;
        assert(died <= rest);
        rest = rest - died;
        assert(busy <= rest);
        rest = rest - busy;
        assert(dropped <= rest);
        rest = rest - dropped;
        if
        :: !dead[0] && !dead[1] ->
            assert(died == 0 && busy == 0);
#ifndef STOP
            assert(unclaimed <= dropped && rest == lost) /* overwritten, to the record */
#else
            assert(lost == 0 && rest == 0)
#endif
        :: else -> assert(lost <= rest)
        fi;
        /* The slot is nobody's: of a lap, or given back. What is in it has been delivered, or is of a lap that the
         * reader came too late for: whoever had the next position found the slot busy. */
        word = value[AT(STATE, newest[STATE])];
        assert(STATE_OF(word) != BUSY);
        assert(STATE_OF(word) != DONE || delivered[LAPS_OF(word) - 1] || LAPS_OF(word) - 1 < skipped)
    }
}

proctype reader()
{
    byte mark, next, position, word, standing, payload_0, payload_1, tail, again, died, scans, skipped;
    bool aside[POSITIONS], accepted, all_ended;
    do
    :: scans < SCANS -> scan(); scans++
    :: else -> break
    od;
    atomic {
        running[0] + running[1] == 0;
        all_ended = true;
        see_all(READER) /* they have held a lock on the file for as long as they had it mapped */
    }
    scan();
    scan();
    account();
    closed = true
}

#ifdef CP
/* cp of a live trace: front to back, and it looks at nothing. */
proctype copier()
{
    byte word, payload_0, payload_1, tail;
    atomic { load(READER, STATE, CP, word) }
    atomic { load(READER, PAYLOAD_0, CP, payload_0) }
    atomic { load(READER, PAYLOAD_1, CP, payload_1) }
    atomic {
        load(READER, TAIL, CP, tail);
        if
        :: STATE_OF(word) == DONE && AGREE(tail, word) -> accept(LAPS_OF(word) - 1)
        :: else
        fi;
        closed = true
    }
}
#endif

init
{
    atomic {
        running[HANDLER] = 2;
        running[1] = 1;
        run writer(HANDLER, true);
        run writer(HANDLER, false);
        run writer(1, true);
        run killer();
#ifdef CP
        run copier()
#else
        run reader()
#endif
    }
    /* Nothing can go on: nobody waits, unless for ever. */
    timeout -> assert(closed)
}
