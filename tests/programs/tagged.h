/* Connections that can be told apart in a trace: each is received from with a length that no other one has, its tag. Of
 * TCP that is the peer's port and, because the kernel gives a port to several connections to different places, how many
 * of its kind were made before, times PORTS; others get what is below all ports that are given out. The bytes that go
 * over one follow from its tag, too. */
#ifndef TAGGED_H
#define TAGGED_H

#include "victim.h"

enum { PORTS = 100000 /* above all ports, which a person reads off the last five digits */, MOST_TAGGED = 64 };

struct tagged {
    int fd; /* the one that is watched */
    int peer;
    long tag;
};

static inline long next_tag(void)
{
    static long tag = 99; /* longer than anything that is sent at once */
    return ++tag;
}

static inline long port_of(int fd, bool of_peer)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int result = of_peer ? getpeername(fd, (struct sockaddr *)&address, &length)
                         : getsockname(fd, (struct sockaddr *)&address, &length);
    must(result == 0, "port");
    return ntohs(address.sin_port);
}

static inline long tcp_tag(int fd)
{
    static long made;
    return made++ * PORTS + port_of(fd, true);
}

static inline struct tagged tagged_tcp(void)
{
    int fds[2];
    tcp_pair(fds, NULL);
    return (struct tagged){fds[0], fds[1], tcp_tag(fds[0])};
}

static inline struct tagged tagged_unix(int type)
{
    int fds[2];
    pair(type, fds);
    return (struct tagged){fds[0], fds[1], next_tag()};
}

/* Receive what there is: the length that is asked for is the tag. */
static inline ssize_t tagged_receive(int fd, long tag)
{
    static char buffer[MOST_TAGGED * PORTS];
    must(tag <= (long)sizeof buffer, "too many tags");
    return recv(fd, buffer, (size_t)tag, 0);
}

/* A byte goes over it. */
static inline void tagged_exchange(const struct tagged *connection)
{
    must(send(connection->peer, "x", 1, 0) == 1, "send");
    must(tagged_receive(connection->fd, connection->tag) == 1, "receive");
}

/* So much does a client of a server send on a connection, by its port. */
static inline size_t bytes_of_tag(long tag)
{
    return 1 + (size_t)tag % 7;
}

#endif
