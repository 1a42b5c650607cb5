/* Memory as C11 promises it and no better: for each location the messages (stores) in modification order, for each
 * thread a view, the oldest message of each location that it may still read. The operational form of RC11 (Lahav et al.,
 * "Repairing Sequential Consistency in C/C++11", without promises: Kang et al., "A Promising Semantics"):
 *
 *   a load     reads any message that is not older than the thread's view, and advances the view to it
 *   a store    goes anywhere after the thread's view: before stores of others that it has not seen, too
 *   a message  bears the view that whoever acquires it gets: of a release store all that its thread has seen, of a
 *              relaxed one what the thread had seen at its last release fence; of an update also what it has read bore
 *   a fence    of acquire: the views of all messages read so far become the thread's own
 *
 * With -DSC a load reads the newest message and a store is the newest: sequential consistency.
 *
 * What includes this defines THREADS, LOCATIONS, MESSAGES (of a location, at most), and ORDERED(l): a location whose
 * modification order is the order of execution, because all that write it are updates or follow their own. */

/* memory_order_*; bit 0 acquires, bit 1 releases. No fence at all is a relaxed one. */
#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 2
#define ACQ_REL 3

#define OF(thread, location)  ((thread) * LOCATIONS + (location))
#define AT(location, message) ((location) * MESSAGES + (message))
#define RAISE(to, by)         to = ((by) > (to) -> (by) : (to))

byte value[LOCATIONS * MESSAGES];            /* of a message; number 0 is what memory begins with */
byte bears[LOCATIONS * MESSAGES * LOCATIONS]; /* its view */
byte newest[LOCATIONS];

byte seen[THREADS * LOCATIONS];     /* the view of a thread; */
byte acquired[THREADS * LOCATIONS]; /* what it becomes at an acquire fence; */
byte released[THREADS * LOCATIONS]; /* what it was at the last release fence */

byte picked;            /* which message; 0 between two steps */
hidden byte each, other; /* of loops within a d_step */

inline pick(from, to)
{
#ifdef SC
    picked = to;
#else
    picked = from;
    do
    :: picked < to -> picked++
    :: break
    od;
    skip /* a d_step may not be jumped into */
#endif
}

/* `thread` has read the picked message. */
inline see(thread, location, order)
{
    RAISE(seen[OF(thread, location)], picked);
    for (each : 0 .. LOCATIONS - 1) {
        RAISE(acquired[OF(thread, each)], bears[AT(location, picked) * LOCATIONS + each]);
        if
        :: (order) & ACQUIRE -> RAISE(seen[OF(thread, each)], bears[AT(location, picked) * LOCATIONS + each])
        :: else
        fi;
        RAISE(acquired[OF(thread, each)], seen[OF(thread, each)])
    }
}

/* `thread` has made the message of that number. */
inline bear(thread, location, message, order)
{
    seen[OF(thread, location)] = message;
    RAISE(acquired[OF(thread, location)], message);
    for (each : 0 .. LOCATIONS - 1) {
        RAISE(bears[AT(location, message) * LOCATIONS + each], released[OF(thread, each)]);
        if
        :: (order) & RELEASE -> RAISE(bears[AT(location, message) * LOCATIONS + each], seen[OF(thread, each)])
        :: else
        fi
    }
    RAISE(bears[AT(location, message) * LOCATIONS + location], message);
}

/* Make room before the picked message: those from there on get the next number. */
inline insert(location)
{
    newest[location]++;
    assert(newest[location] < MESSAGES);
    if
    :: picked < newest[location] ->
        other = newest[location];
        do
        :: other > picked ->
            value[AT(location, other)] = value[AT(location, other - 1)];
            for (each : 0 .. LOCATIONS - 1) {
                bears[AT(location, other) * LOCATIONS + each] = bears[AT(location, other - 1) * LOCATIONS + each];
            }
            other--
        :: else -> break
        od;
        for (each : 0 .. LOCATIONS - 1) {
            bears[AT(location, picked) * LOCATIONS + each] = 0;
        }
        for (each : 0 .. LOCATIONS * MESSAGES - 1) {
            if
            :: bears[each * LOCATIONS + location] >= picked -> bears[each * LOCATIONS + location]++
            :: else
            fi
        }
        for (each : 0 .. THREADS - 1) {
            if
            :: seen[OF(each, location)] >= picked -> seen[OF(each, location)]++
            :: else
            fi;
            if
            :: acquired[OF(each, location)] >= picked -> acquired[OF(each, location)]++
            :: else
            fi;
            if
            :: released[OF(each, location)] >= picked -> released[OF(each, location)]++
            :: else
            fi
        }
    :: else
    fi
}

/* ---- what C has, each within an atomic step of its thread ---- */

inline load(thread, location, order, to)
{
    pick(seen[OF(thread, location)], newest[location]);
    d_step {
        to = value[AT(location, picked)];
        see(thread, location, order);
        picked = 0
    }
}

inline store(thread, location, what, order)
{
    if
    :: ORDERED(location) -> picked = newest[location] + 1
    :: else -> pick(seen[OF(thread, location)] + 1, newest[location] + 1)
    fi;
    d_step {
        insert(location);
        value[AT(location, picked)] = what;
        bear(thread, location, picked, order);
        picked = 0
    }
}

/* The strong one, of an ORDERED location. It succeeds only on the newest message: an update comes right after what it
 * has read. */
inline compare_exchange(thread, location, expected, desired, success, failure, result)
{
    pick(seen[OF(thread, location)], newest[location]);
    d_step {
        if
        :: value[AT(location, picked)] == expected -> picked = newest[location]
        :: else
        fi;
        if
        :: value[AT(location, picked)] == expected ->
            see(thread, location, success);
            for (each : 0 .. LOCATIONS - 1) {
                bears[AT(location, picked + 1) * LOCATIONS + each] = bears[AT(location, picked) * LOCATIONS + each];
            }
            newest[location]++;
            assert(newest[location] < MESSAGES);
            picked++;
            value[AT(location, picked)] = desired;
            bear(thread, location, picked, success);
            result = true
        :: else ->
            expected = value[AT(location, picked)];
            see(thread, location, failure);
            result = false
        fi;
        picked = 0
    }
}

inline fence(thread, order)
{
    d_step {
        for (each : 0 .. LOCATIONS - 1) {
            if
            :: (order) & ACQUIRE -> seen[OF(thread, each)] = acquired[OF(thread, each)]
            :: else
            fi;
            if
            :: (order) & RELEASE -> released[OF(thread, each)] = seen[OF(thread, each)]
            :: else
            fi
        }
    }
}

/* Everything that `from` did comes before whatever `thread` does from here on. Not of C11: what the kernel does. */
inline synchronise(thread, from)
{
    d_step {
        for (each : 0 .. LOCATIONS - 1) {
            RAISE(seen[OF(thread, each)], seen[OF(from, each)]);
            RAISE(acquired[OF(thread, each)], seen[OF(from, each)]);
        }
    }
}

inline see_all(thread)
{
    d_step {
        for (each : 0 .. LOCATIONS - 1) {
            seen[OF(thread, each)] = newest[each];
            acquired[OF(thread, each)] = newest[each]
        }
    }
}

/* A thread that has ended looks at nothing any more: states that differ in its view alone are one. */
inline forget(thread)
{
    d_step {
        for (each : 0 .. LOCATIONS - 1) {
            seen[OF(thread, each)] = 0;
            acquired[OF(thread, each)] = 0;
            released[OF(thread, each)] = 0
        }
    }
}
