/* The look-ups: every question that a trace has the kernel asked, though the program did not. They are asked once a
 * connection, at its first record and at its end, and can be switched off.
 *
 * A filter of seccomp may kill a process for a call it did not expect (file #179): once one is seen no more are made,
 * unless they were asked for. A filter is seen in what the program inherited, and where the program installs it by
 * prctl or, as libseccomp does, by syscall(2). */
#ifndef QUERY_H
#define QUERY_H

#include "endpoints.h"
#include "settings.h"

#include <stdbool.h>

/* For the constructor; `wanted`: there is a trace, or rules that look at sockets, or calls that may be made on none. */
void query_start(enum lookup_policy policy, bool wanted);

/* The program is about to make the system call `number`, and perhaps to install a filter by it: prctl's arguments, or
 * those of seccomp(2). */
void query_system_call(long number, long first, long second, long third);

/* A filter is about to be installed. */
void query_filter_announced(void);

/* Whether questions may be asked. The functions below do not look, are no cancellation points, and may change errno. */
bool query_allowed(void);

/* Whether a filter of seccomp has been seen, and the user has not said that it lets us ask. */
bool query_filtered(void);

/* SO_TYPE, as SOCK_STREAM; 0 where it cannot be told. *domain: SO_DOMAIN, as AF_INET. */
int query_type(int fd, int *domain);

/* Whether the other end is gone: poll's POLLRDHUP or POLLHUP. */
bool query_hung_up(int fd);

/* The local end, and the peer where that may be there. */
void query_endpoints(int fd, bool peer, struct endpoints *endpoints);

/* TCP_INFO. Returns false where the socket has none. */
bool query_tcp(int fd, struct recvshim_tcp *tcp);

/* Have the kernel say again what waits to be received, to those that wait by EPOLLET. TCP only, since Linux 4.18. */
void query_announce(int fd);

#endif
