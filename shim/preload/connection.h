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

/* One word a descriptor: id << 8 | type << 4 | bits, of which connection.c has the rest. All zero is an unknown
 * descriptor. Here for the two questions of every receive; only connection.c changes it.
 *
 * Relaxed throughout: a word stands for itself, and no other memory is reached through it. A thread that uses a
 * descriptor got its number from the thread that made it, in some way of the program's own, and that way orders the
 * note before the use. 512 KiB, of which a page is touched for each 512 descriptors in use. */
extern _Atomic uint64_t connection_words[CONNECTION_DESCRIPTORS];
#define CONNECTION_NO_TIMEOUT UINT64_C(1) /* SO_RCVTIMEO was never set */
#define CONNECTION_TYPE_SHIFT 4
#define CONNECTION_ID_SHIFT   8

static inline uint64_t connection_word(int fd)
{
    bool tracked = fd >= 0 && fd < CONNECTION_DESCRIPTORS;
    return tracked ? atomic_load_explicit(&connection_words[fd], memory_order_relaxed) : 0;
}

/* A socket has just been made: of a type as SOCK_STREAM, without SO_RCVTIMEO, with a connection id (0: none yet). */
void connection_made(int fd, int type, uint64_t id);

/* `fd` was accepted from `listener`, whose type and SO_RCVTIMEO it inherits (sk_clone copies sk_rcvtimeo). */
void connection_accepted(int listener, int fd, uint64_t id);

/* `fd` is about to be closed. Its number may come back in a way that is not interposed, as another socket that may time
 * out: what was noted must not speak for that. A child of vfork that closes its copy makes its parent forget too, which
 * costs that one look-ups and gives its connection a second id. closefrom and close_range are let pass for that reason:
 * such children call them on everything. */
void connection_closed(int fd);

/* `copy` is now the same socket as `fd`. A time-out set through either then holds for both, so that neither is known
 * to have none any more. */
void connection_duplicated(int fd, int copy);

/* The program has set SO_RCVTIMEO, or cleared it: a socket accepted later may still have been made before that. */
void connection_timeout_changed(int fd);

/* Whether a receive may return EAGAIN for SO_RCVTIMEO: false only where the socket is known to have none. A time-out
 * that another process set on a socket of ours that it shares goes unseen. */
static inline bool connection_may_time_out(int fd)
{
    return (connection_word(fd) & CONNECTION_NO_TIMEOUT) == 0;
}

/* The connection's id; 0 for one that has none yet. */
static inline uint64_t connection_id(int fd)
{
    return connection_word(fd) >> CONNECTION_ID_SHIFT;
}

/* Give an id to one that has none. Returns the id it has then: another thread may have been first. */
uint64_t connection_identify(int fd, uint64_t id);

/* The socket's type, as SOCK_STREAM; 0 where it was not noted. */
static inline int connection_noted_type(uint64_t word)
{
    return (int)(word >> CONNECTION_TYPE_SHIFT & 15);
}

/* The socket's type, as SOCK_STREAM; 0 where it cannot be told. `word` is the descriptor's, from when it was the socket
 * in question. Asks the kernel once, where it is not known, so this is for the rare events only. Sets errno. */
int connection_type(int fd, uint64_t word);

/* Note that the connection with this id has ended. Returns whether that is news: an end is reported once. A descriptor
 * that is another connection's by now is left alone. */
bool connection_ended(int fd, uint64_t id);

#endif
