/* The rules on the control page, a seqlock: shim/trace/control_page.c writes them and reads them, shim/preload/fault.c
 * reads them in every receive. One rule of two words. Two commands change it, one after the other, for they lock the
 * page; the first or the second is killed at any point. A receive, or with -DPAGE the command, reads it meanwhile.
 *
 * The orders come from the C code, in which model.py finds them. */

#include "definitions.pml" /* model.py: the orders, as in the C code, and what is tried */

#define WRITERS 2
#define READER  2
#define THREADS 3

#define GENERATION 0
#define RULES      1 /* how many */
#define WORD_0     2
#define WORD_1     3
#define LOCATIONS  4
#define ORDERED(l) ((l) == GENERATION)
#define MESSAGES   5

#include "memory.pml"

#define NOBODY 255

byte holder = NOBODY; /* of the lock */
byte last = NOBODY;   /* who held it last */
bool dead[WRITERS], ended[WRITERS], read;
byte written[6];      /* of each generation: by whom, from 1; for the judge alone */

/* control_page_lock() to its unlocking, and between them control_page_set_rules(). What number the writer has, from 1,
 * is what it writes everywhere. */
#define STEP atomic { !dead[thread] ->

proctype writer(byte thread)
{
    byte generation;
    atomic {
        !dead[thread] && holder == NOBODY -> holder = thread;
        if
        :: last != NOBODY -> synchronise(thread, last)
        :: else
        fi;
        last = thread
    }
    STEP
        load(thread, GENERATION, SET_LOOK, generation);
        generation = generation | 1;
        store(thread, GENERATION, generation, SET_ODD);
        fence(thread, SET_FENCE)
    }
    STEP store(thread, WORD_0, thread + 1, SET_WORD) }
    STEP store(thread, WORD_1, thread + 1, SET_WORD) }
    STEP store(thread, RULES, thread + 1, SET_RULES) }
    STEP
        written[generation + 1] = thread + 1;
        store(thread, GENERATION, generation + 1, SET_EVEN);
        holder = NOBODY;
        ended[thread] = true
    }
}

proctype killer()
{
    byte victim;
    if
    :: victim = 0
    :: victim = 1
    fi;
    atomic {
        !ended[victim] -> dead[victim] = true;
        if
        :: holder == victim -> holder = NOBODY
        :: else
        fi
    }
}

#ifdef PAGE /* control_page.c: copy() */
#define LOOK       PAGE_LOOK
#define COUNT      PAGE_RULES
#define WORD       PAGE_WORD
#define FENCE      PAGE_FENCE
#define LOOK_AGAIN PAGE_LOOK_AGAIN
#else /* fault.c: find_rules(), then take_rule() */
#define LOOK       FIND_LOOK
#define COUNT      FIND_RULES
#define WORD       TAKE_WORD
#define FENCE      TAKE_FENCE
#define LOOK_AGAIN TAKE_LOOK_AGAIN
#endif

#ifdef NO_LOOK_AGAIN
#define SAME(again, generation) true
#else
#define SAME(again, generation) ((again) == (generation))
#endif

proctype reader()
{
    byte generation, rules, word_0, word_1, again;
    atomic { load(READER, GENERATION, LOOK, generation) }
    atomic { load(READER, RULES, COUNT, rules) }
    atomic { load(READER, WORD_0, WORD, word_0) }
    atomic { load(READER, WORD_1, WORD, word_1) }
    atomic {
        fence(READER, FENCE);
        load(READER, GENERATION, LOOK_AGAIN, again);
        if
        :: SAME(again, generation) && (generation & 1) == 0 ->
            assert(word_0 == written[generation] && word_1 == written[generation] && rules == written[generation])
        :: else
        fi;
        read = true
    }
}

init
{
    atomic {
        run writer(0);
        run writer(1);
        run killer();
        run reader()
    }
    /* Nothing can go on: nobody waits, unless for ever. */
    timeout -> assert(read && (ended[0] || dead[0]) && (ended[1] || dead[1]))
}
