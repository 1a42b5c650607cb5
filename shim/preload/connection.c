#include "connection.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

_Atomic uint64_t connection_words[CONNECTION_DESCRIPTORS];

#define ENDED      UINT64_C(2) /* its end has been reported */
#define TYPE_SHIFT CONNECTION_TYPE_SHIFT
#define TYPE_MASK  (UINT64_C(15) << TYPE_SHIFT)

static _Atomic uint64_t *word_of(int fd)
{
    return fd >= 0 && fd < CONNECTION_DESCRIPTORS ? &connection_words[fd] : NULL;
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
    note(fd, id << CONNECTION_ID_SHIFT | kind | CONNECTION_NO_TIMEOUT);
}

void connection_accepted(int listener, int fd, uint64_t id)
{
    note(fd, id << CONNECTION_ID_SHIFT | (connection_word(listener) & (TYPE_MASK | CONNECTION_NO_TIMEOUT)));
}

void connection_closed(int fd)
{
    /* Only where something is noted: most descriptors are files, and their pages of the table stay untouched. */
    if (connection_word(fd) != 0)
        note(fd, 0);
}

void connection_duplicated(int fd, int copy)
{
    if (fd == copy)
        return;
    change(fd, CONNECTION_NO_TIMEOUT, 0);
    note(copy, connection_word(fd));
}

void connection_timeout_changed(int fd)
{
    change(fd, CONNECTION_NO_TIMEOUT, 0);
}

uint64_t connection_identify(int fd, uint64_t id)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return 0;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (old >> CONNECTION_ID_SHIFT == 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, old | id << CONNECTION_ID_SHIFT, memory_order_relaxed,
                                                  memory_order_relaxed))
            return id;
    return old >> CONNECTION_ID_SHIFT;
}

int connection_type(int fd, uint64_t noted)
{
    int type = connection_noted_type(noted);
    if (type != 0)
        return type;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return 0;
    change(fd, TYPE_MASK, (uint64_t)(type & 15) << TYPE_SHIFT);
    return type;
}

bool connection_ended(int fd, uint64_t id)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return true;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (old >> CONNECTION_ID_SHIFT == id && (old & ENDED) == 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, old | ENDED, memory_order_relaxed, memory_order_relaxed))
            return true;
    return old >> CONNECTION_ID_SHIFT != id;
}
