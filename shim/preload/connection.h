/* What is known of each descriptor's socket, without asking the kernel: noted where the program makes the socket, and
 * read at every receive. A descriptor that came in a way that is not interposed (inherited, passed over a unix socket)
 * is unknown: everything then has to be assumed or looked up. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Descriptors from this one on are never known. */
#define CONNECTION_DESCRIPTORS 65536

/* One word a descriptor: id << 16 | two bits | domain << 12 | type << 8 | bits. All zero is an unknown descriptor. Here
 * for the questions of every receive; only connection.c changes it.
 *
 * Relaxed throughout: a word stands for itself, and no other memory is reached through it. A thread that uses a
 * descriptor got its number from the thread that made it, in some way of the program's own, and that way orders the
 * note before the use. 512 KiB, of which a page is touched for each 512 descriptors in use. */
extern _Atomic uint64_t connection_words[CONNECTION_DESCRIPTORS];

enum {
    CONNECTION_NO_TIMEOUT = 1,     /* SO_RCVTIMEO was never set */
    CONNECTION_CONNECTING = 2,     /* connect() is under way, and the program does not know yet what becomes of it */
    CONNECTION_CONNECTED = 4,      /* it has a peer: by accept, connect, socketpair, or having received from one */
    CONNECTION_APPEARED = 8,       /* it is in the trace already */
    CONNECTION_RECEIVED = 16,      /* with a receive */
    CONNECTION_SHUT_READ = 32,     /* by the program: shutdown(SHUT_RD) or SHUT_RDWR */
    CONNECTION_PROGRAM_FIRST = 64, /* the program shut down writing before it saw the peer's end */
    CONNECTION_ENDED = 128,        /* its end has been reported */
};
#define CONNECTION_DUPLICATED   (UINT64_C(1) << 14) /* other descriptors may have the same id */
#define CONNECTION_LOCAL_OWED   (UINT64_C(1) << 15) /* no record has told its local address, as the next will */
#define CONNECTION_BITS         (UINT64_C(0xff) | CONNECTION_DUPLICATED | CONNECTION_LOCAL_OWED)
#define CONNECTION_TYPE_SHIFT   8
#define CONNECTION_DOMAIN_SHIFT 12
#define CONNECTION_ID_SHIFT     16

static inline uint64_t connection_word(int fd)
{
    bool tracked = fd >= 0 && fd < CONNECTION_DESCRIPTORS;
    return tracked ? atomic_load_explicit(&connection_words[fd], memory_order_relaxed) : 0;
}

/* The connection's id; 0 for one that has none yet. */
static inline uint64_t connection_id(uint64_t word)
{
    return word >> CONNECTION_ID_SHIFT;
}

/* The socket's type, as SOCK_STREAM; 0 where it was not noted. */
static inline int connection_type(uint64_t word)
{
    return (int)(word >> CONNECTION_TYPE_SHIFT & 15);
}

/* The type of a descriptor that is no socket: a read of it is passed on. It stays so where the number is closed, and
 * given to another, in ways that are not interposed: then it is another file's, because what makes sockets is. */
#define CONNECTION_NONE 15

/* A descriptor of which no type is known has turned out to be no socket. */
void connection_is_none(int fd);

/* AF_UNIX, AF_INET or AF_INET6; 0 for another, and where it was not noted. */
int connection_domain(uint64_t word);

/* Whether its domain is AF_INET or AF_INET6. */
bool connection_is_inet(uint64_t word);

/* What a record of its end tells of it: RECVSHIM_RESULT_CONNECTED and those below. */
uint16_t connection_flags(uint64_t word);

/* Whether it is a stream, or SOCK_SEQPACKET: a socket that has one peer, whose end is an end. */
bool connection_is_stream(uint64_t word);

/* A socket has just been made: of a domain as AF_INET, a type as SOCK_STREAM, without SO_RCVTIMEO, with a connection id
 * (0: none yet) and the bits. */
void connection_made(int fd, int domain, int type, uint64_t id, uint64_t bits);

/* `fd` was accepted from `listener`, whose domain, type and SO_RCVTIMEO it inherits (sk_clone copies sk_rcvtimeo). */
void connection_accepted(int listener, int fd, uint64_t id, uint64_t bits);

/* The socket stays, the connection is another: connect(2) with AF_UNSPEC ended the last. On each descriptor that it
 * has.
 */
void connection_renewed(int fd, uint64_t id);

/* `fd` is about to be closed, or has come in a way that is not interposed: what was noted must not speak for whatever
 * has the number next. */
void connection_forget(int fd);

/* Call `each` for every known descriptor from `first` to `last`. */
void connection_for_each(unsigned int first, unsigned int last, void (*each)(int fd, uint64_t word));

/* Call `each` for every descriptor that has the connection with this id; `fd` is one, and the first. */
void connection_for_copies(int fd, uint64_t id, void (*each)(int fd, uint64_t id, const void *context),
                           const void *context);

/* `copy` is now the same socket as `fd`. A time-out set through either then holds for both, so that neither is known
 * to have none any more. */
void connection_duplicated(int fd, int copy);

/* Whether a receive may return EAGAIN for SO_RCVTIMEO: false only where the socket is known to have none. A time-out
 * that another process set on a socket of ours that it shares goes unseen. */
static inline bool connection_may_time_out(int fd)
{
    return (connection_word(fd) & CONNECTION_NO_TIMEOUT) == 0;
}

/* Give an id to one that has none. Returns the id it has then: another thread may have been first; 0 where descriptors
 * are not tracked. */
uint64_t connection_identify(int fd, uint64_t id);

/* Note type and domain of a socket that was not known. */
void connection_learnt(int fd, uint64_t id, int domain, int type);

/* Set and clear bits, if the descriptor is still the connection with this id. Returns the word as it was before; 0
 * where it is not. */
uint64_t connection_mark(int fd, uint64_t id, uint64_t set, uint64_t clear);

/* Set and clear bits of a connection on each descriptor that it has: what happens to a socket happens to its
 * duplicates. Returns the word of `fd` as connection_mark() does. */
uint64_t connection_mark_all(int fd, uint64_t id, uint64_t set, uint64_t clear);

#endif
