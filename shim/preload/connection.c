#include "connection.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

/* One word a descriptor: id << 8 | type << 4 | the bits below. All zero is an unknown descriptor.
 *
 * Relaxed throughout: a word stands for itself, and no other memory is reached through it. A thread that uses a
 * descriptor got its number from the thread that made it, in some way of the program's own, and that way orders the
 * note before the use. 512 KiB, of which a page is touched for each 512 descriptors in use. */
static _Atomic uint64_t words[CONNECTION_DESCRIPTORS];

#define NO_TIMEOUT UINT64_C(1) /* SO_RCVTIMEO was never set */
#define ENDED      UINT64_C(2) /* its end has been reported */
#define TYPE_SHIFT 4
#define TYPE_MASK  (UINT64_C(15) << TYPE_SHIFT)
#define ID_SHIFT   8

static _Atomic uint64_t *word_of(int fd)
{
    return fd >= 0 && fd < CONNECTION_DESCRIPTORS ? &words[fd] : NULL;
}

static uint64_t known(int fd)
{
    _Atomic uint64_t *word = word_of(fd);
    return word == NULL ? 0 : atomic_load_explicit(word, memory_order_relaxed);
}

static void note(int fd, uint64_t value)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word != NULL)
        atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Replace the bits of `mask` by `bits`. */
static void change(int fd, uint64_t mask, uint64_t bits)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(word, &old, (old & ~mask) | bits, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void connection_made(int fd, int type, uint64_t id)
{
    uint64_t kind = (uint64_t)(type & 15) << TYPE_SHIFT; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
    note(fd, id << ID_SHIFT | kind | NO_TIMEOUT);
}

void connection_accepted(int listener, int fd, uint64_t id)
{
    note(fd, id << ID_SHIFT | (known(listener) & (TYPE_MASK | NO_TIMEOUT)));
}

void connection_closed(int fd)
{
    /* Only where something is noted: most descriptors are files, and their pages of the table stay untouched. */
    if (known(fd) != 0)
        note(fd, 0);
}

void connection_duplicated(int fd, int copy)
{
    if (fd == copy)
        return;
    change(fd, NO_TIMEOUT, 0);
    note(copy, known(fd));
}

void connection_timeout_changed(int fd)
{
    change(fd, NO_TIMEOUT, 0);
}

bool connection_may_time_out(int fd)
{
    return (known(fd) & NO_TIMEOUT) == 0;
}

uint64_t connection_id(int fd)
{
    return known(fd) >> ID_SHIFT;
}

uint64_t connection_identify(int fd, uint64_t id)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return 0;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (old >> ID_SHIFT == 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, old | id << ID_SHIFT, memory_order_relaxed,
                                                  memory_order_relaxed))
            return id;
    return old >> ID_SHIFT;
}

int connection_type(int fd)
{
    int type = (int)((known(fd) & TYPE_MASK) >> TYPE_SHIFT);
    if (type != 0)
        return type;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return 0;
    change(fd, TYPE_MASK, (uint64_t)(type & 15) << TYPE_SHIFT);
    return type;
}

bool connection_ended(int fd)
{
    _Atomic uint64_t *word = word_of(fd);
    return word == NULL || (atomic_fetch_or_explicit(word, ENDED, memory_order_relaxed) & ENDED) == 0;
}
