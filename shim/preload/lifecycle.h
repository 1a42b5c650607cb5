/* The life of a socket, from its making to its close: what each of the program's calls means for what is known of the
 * descriptor, and the events connect, accept and close. receive.c's counterpart for all that is not a receive.
 *
 * The functions note what a call did, or is about to do; the call itself is the caller's. None of them is a
 * cancellation point, and none changes errno. */
#ifndef LIFECYCLE_H
#define LIFECYCLE_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* After socket and socketpair. */
void lifecycle_made(int fd, int domain, int type);
void lifecycle_paired(const int fds[2], int domain, int type);

/* Around accept. Where the program wants no address the kernel is given room for one all the same: it costs less than
 * to ask for it later. Only where it is known to have one to give: of other families accept would fail. */
struct acceptance {
    struct sockaddr *address; /* for the next accept */
    socklen_t *length;
    socklen_t room; /* at address, before the call */
    socklen_t own_length;
    union {
        struct sockaddr any;
        struct sockaddr_un longest;
    } own;
};
void lifecycle_accepting(struct acceptance *acceptance, int listener, struct sockaddr *address, socklen_t *length);
void lifecycle_accepted(const struct acceptance *acceptance, int listener, int fd);

/* Around connect, with the address it was given and what it returned. While it blocks, another thread may close the
 * descriptor, and get its number for another connection. */
struct connecting {
    uint64_t word;  /* the descriptor's */
    uint64_t entry; /* when it began; 0 where that is not needed */
};
struct connecting lifecycle_connecting(int fd);
void lifecycle_connected(int fd, const struct sockaddr *address, socklen_t length, int result,
                         struct connecting before);

/* After the program has read a socket's SO_ERROR. */
void lifecycle_error_read(int fd, int error);

/* After dup, dup2, dup3 and F_DUPFD. `replaced`: lifecycle_word(copy) before the call; 0 where the descriptor is new.
 */
uint64_t lifecycle_word(int fd);
void lifecycle_duplicated(int fd, int copy, uint64_t replaced);

/* Around shutdown: another thread's receive may return before it does. */
uint64_t lifecycle_shutting_down(int fd, int how);
void lifecycle_shutdown_failed(int fd, uint64_t before);

/* Before close: after it another thread may already have the number. */
void lifecycle_closing(int fd);

/* Before close_range and closefrom, for the same reason. Should the call fail, for which there are few reasons on a
 * kernel that has it, its connections go on under other ids. */
void lifecycle_closing_range(unsigned int first, unsigned int last);

/* After recvmsg: descriptors that came with SCM_RIGHTS are none that were known. */
void lifecycle_arrived(const struct msghdr *message);

/* After setsockopt of SO_RCVTIMEO. */
void lifecycle_timeout_changed(int fd);

/* Before the process ends by exit or _exit. */
void lifecycle_exiting(int status);

#endif
