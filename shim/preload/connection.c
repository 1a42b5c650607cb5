#include "connection.h"

#include "hot.h"
#include "origin.h"
#include "recvshim/trace.h"

#include <stddef.h>
#include <sys/socket.h>

_Atomic uint64_t connection_words[CONNECTION_DESCRIPTORS];

#define TYPE_MASK (UINT64_C(15) << CONNECTION_TYPE_SHIFT)
/* All but the id. */
#define SOCKET_MASK ((UINT64_C(1) << CONNECTION_ID_SHIFT) - 1)

/* No descriptor above it was ever noted. */
HOT static _Atomic int highest;

/* What the two bits of a domain mean. */
static const int domains[4] = {0, AF_UNIX, AF_INET, AF_INET6};

static uint64_t kind(int domain, int type)
{
    uint64_t index = 0;
    for (size_t i = 1; i < sizeof domains / sizeof domains[0]; i++)
        if (domains[i] == domain)
            index = i;
    /* A type without SOCK_CLOEXEC and SOCK_NONBLOCK. */
    return index << CONNECTION_DOMAIN_SHIFT | (uint64_t)(type & 15) << CONNECTION_TYPE_SHIFT;
}

int connection_domain(uint64_t word)
{
    return domains[word >> CONNECTION_DOMAIN_SHIFT & 3];
}

bool connection_is_stream(uint64_t word)
{
    int type = connection_type(word);
    return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

bool connection_is_inet(uint64_t word)
{
    int domain = connection_domain(word);
    return domain == AF_INET || domain == AF_INET6;
}

uint16_t connection_flags(uint64_t word)
{
    return (uint16_t)((word & CONNECTION_CONNECTED ? RECVSHIM_RESULT_CONNECTED : 0) |
                      (word & CONNECTION_SHUT_READ ? RECVSHIM_RESULT_SHUT_READ : 0) |
                      (word & CONNECTION_PROGRAM_FIRST ? RECVSHIM_RESULT_PROGRAM_FIRST : 0) |
                      (word & CONNECTION_ENDED ? RECVSHIM_RESULT_PEER_ENDED : 0));
}

static _Atomic uint64_t *word_of(int fd)
{
    return fd >= 0 && fd < CONNECTION_DESCRIPTORS ? &connection_words[fd] : NULL;
}

/* Relaxed: at worst a thread that closes a range does not see a descriptor that another thread is just getting. */
static void raise_highest(int fd)
{
    int old = atomic_load_explicit(&highest, memory_order_relaxed);
    while (old < fd &&
           !atomic_compare_exchange_weak_explicit(&highest, &old, fd, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* A new connection whose number is still the place of another's duplicates is asked about as one of them. */
static uint64_t taken(int fd)
{
    return origin_is_taken(fd) ? CONNECTION_DUPLICATED : 0;
}

static void note(int fd, uint64_t value)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return;
    raise_highest(fd);
    atomic_store_explicit(word, value, memory_order_relaxed);
}

void connection_made(int fd, int domain, int type, uint64_t id, uint64_t bits)
{
    origin_made(fd);
    note(fd, id << CONNECTION_ID_SHIFT | kind(domain, type) | CONNECTION_NO_TIMEOUT | bits | taken(fd));
}

void connection_is_none(int fd)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return;
    raise_highest(fd);
    /* Also where it got an id, with a recv that was refused. */
    uint64_t unknown = atomic_load_explicit(word, memory_order_relaxed);
    while (connection_type(unknown) == 0 &&
           !atomic_compare_exchange_weak_explicit(word, &unknown, (uint64_t)CONNECTION_NONE << CONNECTION_TYPE_SHIFT,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void connection_accepted(int listener, int fd, uint64_t id, uint64_t bits)
{
    uint64_t inherited = SOCKET_MASK & ~(CONNECTION_BITS & ~(uint64_t)CONNECTION_NO_TIMEOUT);
    origin_accepted(listener, fd);
    note(fd, id << CONNECTION_ID_SHIFT | (connection_word(listener) & inherited) | bits | taken(fd));
}

static void renew(int fd, uint64_t old_id, const void *id)
{
    (void)old_id;
    uint64_t stays = SOCKET_MASK & ~(CONNECTION_BITS & ~((uint64_t)CONNECTION_NO_TIMEOUT | CONNECTION_DUPLICATED));
    origin_renewed(fd);
    note(fd, *(const uint64_t *)id << CONNECTION_ID_SHIFT | (connection_word(fd) & stays) | taken(fd));
}

void connection_renewed(int fd, uint64_t id)
{
    connection_for_copies(fd, connection_id(connection_word(fd)), renew, &id);
}

void connection_forget(int fd)
{
    /* Only where something is noted: most descriptors are files, and their pages of the table stay untouched. */
    if (connection_word(fd) != 0) {
        note(fd, 0);
        origin_forgotten(fd);
    }
}

void connection_for_each(unsigned int first, unsigned int last, void (*each)(int fd, uint64_t word))
{
    unsigned int end = (unsigned int)atomic_load_explicit(&highest, memory_order_relaxed);
    for (unsigned int fd = first; fd <= last && fd <= end; fd++) {
        uint64_t word = connection_word((int)fd);
        if (word != 0)
            each((int)fd, word);
    }
}

void connection_duplicated(int fd, int copy)
{
    _Atomic uint64_t *word = word_of(fd);
    uint64_t value = word != NULL ? atomic_load_explicit(word, memory_order_relaxed) : 0;
    if (connection_type(value) == CONNECTION_NONE) {
        connection_forget(copy); /* a file: duplicates of sockets have places in common, and there are only so many */
        return;
    }
    if (value != 0) {
        connection_mark(fd, connection_id(value), CONNECTION_DUPLICATED, CONNECTION_NO_TIMEOUT);
        value = connection_word(fd);
    }
    if (value != 0 || connection_word(copy) != 0) {
        note(copy, value);
        origin_duplicated(fd, copy);
    }
}

uint64_t connection_identify(int fd, uint64_t id)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return 0;
    raise_highest(fd);
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (connection_id(old) == 0)
        if (atomic_compare_exchange_weak_explicit(word, &old, old | id << CONNECTION_ID_SHIFT | taken(fd),
                                                  memory_order_relaxed, memory_order_relaxed))
            return id;
    return connection_id(old);
}

uint64_t connection_mark(int fd, uint64_t id, uint64_t set, uint64_t clear)
{
    _Atomic uint64_t *word = word_of(fd);
    if (word == NULL)
        return 0;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    while (connection_id(old) == id && old != 0) {
        if (atomic_compare_exchange_weak_explicit(word, &old, (old & ~clear) | set, memory_order_relaxed,
                                                  memory_order_relaxed))
            return old;
    }
    return 0;
}

void connection_for_copies(int fd, uint64_t id, void (*each)(int fd, uint64_t id, const void *context),
                           const void *context)
{
    bool alone = (connection_word(fd) & CONNECTION_DUPLICATED) == 0 || id == 0;
    each(fd, id, context);
    for (int other = alone ? -1 : atomic_load_explicit(&highest, memory_order_relaxed); other >= 0; other--)
        if (other != fd && connection_id(connection_word(other)) == id)
            each(other, id, context);
}

struct marks {
    uint64_t set, clear;
};

static void mark(int fd, uint64_t id, const void *context)
{
    const struct marks *marks = context;
    connection_mark(fd, id, marks->set, marks->clear);
}

uint64_t connection_mark_all(int fd, uint64_t id, uint64_t set, uint64_t clear)
{
    uint64_t before = connection_mark(fd, id, set, clear);
    if ((before & CONNECTION_DUPLICATED) != 0)
        connection_for_copies(fd, id, mark, &(struct marks){set, clear});
    return before;
}

void connection_learnt(int fd, uint64_t id, int domain, int type)
{
    if (connection_type(connection_word(fd)) == 0)
        connection_mark(fd, id, kind(domain, type), 0);
}
