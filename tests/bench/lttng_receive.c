/* A preload that records each receive from a socket as an event of LTTng-UST, with the facts that a record of ours has:
 * descriptor, bytes asked for, result, errno, flags, and the peer's address. So both do the same work in scripts/bench.
 *
 * It does it as cheaply as we do: the peer is asked for once a connection, until the descriptor is closed. It is a
 * yardstick and no more than that: a descriptor that is replaced (dup2) keeps its first peer. */
#define LTTNG_UST_TRACEPOINT_DEFINE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#include "lttng_receive.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 4096 /* those above have no peer */

static ssize_t (*next_recv)(int, void *, size_t, int);
static ssize_t (*next_recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
static ssize_t (*next_read)(int, void *, size_t);
static int (*next_close)(int);

enum kind { UNKNOWN, SOCKET, NO_SOCKET };

static struct {
    _Atomic(unsigned char) kind;
    struct peer peer;
} known[DESCRIPTORS];

__attribute__((constructor)) static void find_next(void)
{
    *(void **)&next_recv = dlsym(RTLD_NEXT, "recv");
    *(void **)&next_recvfrom = dlsym(RTLD_NEXT, "recvfrom");
    *(void **)&next_read = dlsym(RTLD_NEXT, "read");
    *(void **)&next_close = dlsym(RTLD_NEXT, "close");
}

/* LTTng's constructor and threads come before ours, and read and close. */
static void be_ready(void)
{
    if (next_close == NULL)
        find_next();
}

static struct peer peer_of(const struct sockaddr_storage *address)
{
    struct peer peer = {.family = address->ss_family};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        peer.port = ntohs(in->sin_port);
        memcpy(peer.address, &in->sin_addr, sizeof in->sin_addr);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        peer.port = ntohs(in6->sin6_port);
        memcpy(peer.address, &in6->sin6_addr, sizeof in6->sin6_addr);
    }
    return peer;
}

static enum kind look_up(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    enum kind kind = SOCKET;
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) {
        kind = errno == ENOTSOCK ? NO_SOCKET : SOCKET;
        address.ss_family = 0;
    }
    known[fd].peer = peer_of(&address);
    atomic_store_explicit(&known[fd].kind, (unsigned char)kind, memory_order_release);
    return kind;
}

static void record(int fd, size_t requested, ssize_t result, int flags, const struct sockaddr_storage *source)
{
    static const struct peer nobody;
    int error = errno;
    const struct peer *peer = &nobody;
    struct peer sender;
    if (fd >= 0 && fd < DESCRIPTORS) {
        enum kind kind = (enum kind)atomic_load_explicit(&known[fd].kind, memory_order_acquire);
        if (kind == UNKNOWN)
            kind = look_up(fd);
        if (kind == NO_SOCKET) {
            errno = error;
            return;
        }
        peer = &known[fd].peer;
    }
    if (source != NULL && source->ss_family != 0) {
        sender = peer_of(source);
        peer = &sender;
    }
    lttng_ust_tracepoint(recvshim_bench, receive, fd, requested, result, result < 0 ? error : 0, flags, peer);
    errno = error;
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t result = next_recv(fd, buffer, length, flags);
    record(fd, length, result, flags, NULL);
    return result;
}

ssize_t recvfrom(int fd, void *restrict buffer, size_t length, int flags, __SOCKADDR_ARG address,
                 socklen_t *restrict address_length)
{
    struct sockaddr *to = address.__sockaddr__;
    struct sockaddr_storage source = {0};
    socklen_t room = to != NULL ? *address_length : 0;
    ssize_t result = next_recvfrom(fd, buffer, length, flags, to, address_length);
    if (result >= 0 && to != NULL)
        memcpy(&source, to, room < *address_length ? room : *address_length);
    record(fd, length, result, flags, &source);
    return result;
}

ssize_t read(int fd, void *buffer, size_t length)
{
    be_ready();
    ssize_t result = next_read(fd, buffer, length);
    record(fd, length, result, 0, NULL);
    return result;
}

int close(int fd)
{
    be_ready();
    if (fd >= 0 && fd < DESCRIPTORS)
        atomic_store_explicit(&known[fd].kind, UNKNOWN, memory_order_relaxed);
    return next_close(fd);
}
