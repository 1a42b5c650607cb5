#include "origin.h"

#include "connection.h"
#include "draw.h"
#include "next.h"
#include "thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What a number was made of: two ways to come about never meet. */
enum { FIRST_THREAD = 1, ODD_THREAD, THREAD, PROCESS, MADE, ACCEPTED, RENEWED, STRANGER, UNTRACKED };

/* Relaxed throughout, for connection.h's reason: the program itself orders the making of a descriptor before its use.
 * A page is touched for each 128 descriptors in use. */
static struct {
    _Atomic uint64_t origin;   /* 0: a stranger's, not looked at yet */
    _Atomic uint32_t place;    /* of a duplicate: plus 1; 0: none yet, or that of its number */
    _Atomic uint32_t holders;  /* duplicates that have the place of this number */
    _Atomic uint32_t accepted; /* from the listener that it is */
    _Atomic uint32_t given_up; /* how often the number was */
    uint64_t reserved;
} descriptors[CONNECTION_DESCRIPTORS];

/* Places of those whose number is another's place. */
#define FIRST_SPARE (CONNECTION_DESCRIPTORS + 1U)
static _Atomic uint32_t spare_holders[ORIGIN_PLACES - FIRST_SPARE];

/* What the forks that led to this process add. Written in the child of a fork, which has one thread. */
static uint64_t process;

static _Atomic uint32_t odd_threads;

static uint64_t kind_of(uint64_t parent, uint64_t kind, uint64_t ordinal)
{
    uint64_t number = draw_of(draw_of(parent, kind), ordinal);
    return number != 0 ? number : 1;
}

/* A thread that was not started by pthread_create, or before there was anything of ours: by the order in which such
 * threads come here. */
static uint64_t lineage(void)
{
    if (thread_self.lineage == 0)
        thread_self.lineage =
            kind_of(0, ODD_THREAD, atomic_fetch_add_explicit(&odd_threads, 1, memory_order_relaxed) + UINT64_C(1));
    return thread_self.lineage;
}

/* ---- processes and threads ---- */

/* What a new thread begins with: in a place of its own until it has taken it over. */
struct beginning {
    void *(*function)(void *);
    void *argument;
    uint64_t lineage;
    _Atomic bool taken;
};
#define BEGINNINGS 256 /* threads that have been started and do not run yet */
static struct beginning beginnings[BEGINNINGS];

static void before_fork(void)
{
    thread_self.forks++;
}

static void in_child(void)
{
    thread_self.lineage = kind_of(lineage(), PROCESS, thread_self.forks);
    process = thread_self.lineage;
    for (int i = 0; i < BEGINNINGS; i++) /* threads that were just starting did so in the parent */
        atomic_store_explicit(&beginnings[i].taken, false, memory_order_relaxed);
}

void origin_start(void)
{
    thread_self.lineage = kind_of(0, FIRST_THREAD, 0);
    /* Not a wiped page, as process.c has it: which of several children this is only the parent can count. A raw clone
     * is not counted. */
    pthread_atfork(before_fork, NULL, in_child);
}

static struct beginning *take_beginning(void)
{
    for (int i = 0; i < BEGINNINGS; i++) {
        bool free = false;
        /* Acquire: whoever had it before has read what it held. */
        if (!atomic_load_explicit(&beginnings[i].taken, memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&beginnings[i].taken, &free, true, memory_order_acquire,
                                                    memory_order_relaxed))
            return &beginnings[i];
    }
    return NULL;
}

static void *begin(void *taken)
{
    struct beginning *beginning = taken;
    void *(*function)(void *) = beginning->function;
    void *argument = beginning->argument;
    thread_self.lineage = beginning->lineage;
    atomic_store_explicit(&beginning->taken, false, memory_order_release);
    return function(argument); /* a jump: the program's own function is the first on the stack */
}

/* A thread for which there is no place counts as an odd one, and works all the same. */
int origin_create_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
    next_pthread_create_function *next = next_pthread_create();
    if (next == NULL)
        return EAGAIN;
    struct beginning *beginning = take_beginning();
    if (beginning == NULL) {
        thread_self.threads++; /* those after it are told as they are in any run */
        return next(thread, attributes, function, argument);
    }
    beginning->function = function;
    beginning->argument = argument;
    beginning->lineage = kind_of(lineage(), THREAD, ++thread_self.threads);
    int error = next(thread, attributes, begin, beginning);
    if (error != 0) {
        thread_self.threads--;
        atomic_store_explicit(&beginning->taken, false, memory_order_release);
    }
    return error;
}

/* ---- descriptors ---- */

static bool is_tracked(int fd)
{
    return fd >= 0 && fd < CONNECTION_DESCRIPTORS;
}

static _Atomic uint32_t *holders_of(uint32_t place)
{
    return place < CONNECTION_DESCRIPTORS ? &descriptors[place].holders : &spare_holders[place - FIRST_SPARE];
}

/* Exchanged, so that of two that give it up at once one does. */
static void leave_place(int fd)
{
    if (atomic_load_explicit(&descriptors[fd].place, memory_order_relaxed) == 0)
        return;
    uint32_t place = atomic_exchange_explicit(&descriptors[fd].place, 0, memory_order_relaxed);
    if (place != 0)
        atomic_fetch_sub_explicit(holders_of(place - 1), 1, memory_order_relaxed);
}

static void begins(int fd, uint64_t origin)
{
    leave_place(fd);
    atomic_store_explicit(&descriptors[fd].accepted, 0, memory_order_relaxed);
    atomic_store_explicit(&descriptors[fd].origin, origin, memory_order_relaxed);
}

void origin_made(int fd)
{
    if (is_tracked(fd))
        begins(fd, kind_of(lineage(), MADE, ++thread_self.sockets));
}

void origin_accepted(int listener, int fd)
{
    if (!is_tracked(fd))
        return;
    uint64_t ordinal = 0;
    if (is_tracked(listener))
        ordinal = atomic_fetch_add_explicit(&descriptors[listener].accepted, 1, memory_order_relaxed) + UINT64_C(1);
    /* Workers that were forked from one parent have one listener, and are told apart. */
    begins(fd, kind_of(draw_of(origin_of(listener), process), ACCEPTED, ordinal));
}

void origin_renewed(int fd)
{
    if (is_tracked(fd))
        begins(fd, kind_of(origin_of(fd), RENEWED, 0));
}

bool origin_is_taken(int fd)
{
    return is_tracked(fd) && atomic_load_explicit(&descriptors[fd].holders, memory_order_relaxed) != 0;
}

static bool claim(uint32_t place)
{
    uint32_t none = 0;
    return atomic_compare_exchange_strong_explicit(holders_of(place), &none, 1, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* That of its own number, or, where it is taken, a spare one. Plus 1; 0: none is left. */
__attribute__((cold, noinline)) static uint32_t find_place(int fd)
{
    uint32_t place = claim((uint32_t)fd) ? (uint32_t)fd + 1 : 0;
    for (uint32_t other = FIRST_SPARE; place == 0 && other < ORIGIN_PLACES; other++)
        if (claim(other))
            place = other + 1;
    atomic_store_explicit(&descriptors[fd].place, place, memory_order_relaxed);
    return place;
}

/* From here on the two are one for as long as either is open. */
void origin_duplicated(int fd, int copy)
{
    if (!is_tracked(copy))
        return;
    begins(copy, is_tracked(fd) ? origin_of(fd) : 0);
    if (!is_tracked(fd))
        return;
    uint32_t place = atomic_load_explicit(&descriptors[fd].place, memory_order_relaxed);
    if (place == 0)
        place = find_place(fd);
    if (place == 0)
        return;
    atomic_fetch_add_explicit(holders_of(place - 1), 1, memory_order_relaxed);
    atomic_store_explicit(&descriptors[copy].place, place, memory_order_relaxed);
}

void origin_forgotten(int fd)
{
    if (!is_tracked(fd))
        return;
    begins(fd, 0);
    atomic_fetch_add_explicit(&descriptors[fd].given_up, 1, memory_order_relaxed);
}

uint64_t origin_of(int fd)
{
    if (!is_tracked(fd))
        return kind_of(0, UNTRACKED, 0);
    uint64_t origin = atomic_load_explicit(&descriptors[fd].origin, memory_order_relaxed);
    if (origin == 0) {
        uint32_t given_up = atomic_load_explicit(&descriptors[fd].given_up, memory_order_relaxed);
        origin = kind_of(kind_of(0, STRANGER, (uint64_t)fd), STRANGER, given_up);
        atomic_store_explicit(&descriptors[fd].origin, origin, memory_order_relaxed);
    }
    return origin;
}

uint32_t origin_place(int fd, uint64_t id)
{
    if (!is_tracked(fd) || id == 0)
        return CONNECTION_DESCRIPTORS;
    uint32_t place = atomic_load_explicit(&descriptors[fd].place, memory_order_relaxed);
    if (place == 0)
        place = find_place(fd);
    return place != 0 ? place - 1 : CONNECTION_DESCRIPTORS;
}
