/* The table of processes: shim/preload/recorder.c says hello in it and then takes its first position of the ring;
 * shim/trace/read.c marks how far the ring has come, and shim/trace/lookup.c then reads the table, in which everybody
 * must be whose record is before the mark. */

#include "definitions.pml" /* model.py: the orders, as in the C code, and what is tried */

#define WRITER 0
#define READER 1
#define THREADS 2

#define CLAIMED 0 /* entries */
#define ENTRY   1 /* what is in one: the parent, the start and the name */
#define NUMBER  2 /* the pid */
#define CURSOR  3
#define LOCATIONS 4
#define ORDERED(l) true
#define MESSAGES  2

#include "memory.pml"

bool read;

/* say_hello(), and the first step of recorder_store() */
proctype writer()
{
    byte claimed, position;
    bool done;
    atomic { compare_exchange(WRITER, CLAIMED, claimed, 1, HELLO_CLAIM, HELLO_CLAIM, done) } /* the only one: it adds */
    atomic { store(WRITER, ENTRY, 1, RELAXED) }
    atomic { store(WRITER, NUMBER, 1, HELLO_PID) }
    atomic {
        fence(WRITER, HELLO_FENCE);
        compare_exchange(WRITER, CURSOR, position, 1, STORE_POSITION, STORE_POSITION, done)
    }
}

/* reader_mark(), then process_list_update() */
proctype reader()
{
    byte cursor, claimed, number, entry;
    atomic { load(READER, CURSOR, MARK, cursor) }
    atomic { load(READER, CLAIMED, LIST_CLAIMED, claimed) }
    if
    :: claimed > 0 -> atomic { load(READER, NUMBER, LIST_PID, number) }
    :: else
    fi;
    if
    :: number > 0 -> atomic { load(READER, ENTRY, RELAXED, entry); assert(entry == 1) /* whole, if it is there */ }
    :: else
    fi;
    assert(cursor == 0 || number == 1);
    read = true
}

init
{
    atomic { run writer(); run reader() }
    timeout -> assert(read)
}
