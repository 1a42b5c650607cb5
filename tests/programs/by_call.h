/* A receive by any of the calls that there are, over one buffer: those that take several are given it in three pieces.
 */
#ifndef BY_CALL_H
#define BY_CALL_H

#include "victim.h"

#include <sys/uio.h>

/* Cut where it is most likely to go wrong: a piece of one byte, an empty one, the rest. */
static inline int pieces_of(void *buffer, size_t length, struct iovec pieces[3])
{
    size_t first = length > 1 ? 1 : length;
    pieces[0] = (struct iovec){buffer, first};
    pieces[1] = (struct iovec){buffer, 0};
    pieces[2] = (struct iovec){(char *)buffer + first, length - first};
    return 3;
}

static inline ssize_t receive_message(int fd, void *buffer, size_t length, int flags, struct sockaddr_storage *address,
                                      socklen_t *room, bool many)
{
    struct iovec pieces[3];
    struct mmsghdr one = {.msg_hdr = {.msg_iov = pieces, .msg_iovlen = (size_t)pieces_of(buffer, length, pieces)}};
    if (address != NULL) {
        one.msg_hdr.msg_name = address;
        one.msg_hdr.msg_namelen = *room;
    }
    ssize_t result = many ? recvmmsg(fd, &one, 1, flags, NULL) : recvmsg(fd, &one.msg_hdr, flags);
    if (result >= 0 && address != NULL)
        *room = one.msg_hdr.msg_namelen;
    return many && result == 1 ? (ssize_t)one.msg_len : result;
}

/* `address` is for those that can tell one; read and readv have no flags. */
static inline ssize_t receive_by(const char *call, int fd, void *buffer, size_t length, int flags,
                                 struct sockaddr_storage *address, socklen_t *room)
{
    struct iovec pieces[3];
    if (strcmp(call, "recv") == 0)
        return recv(fd, buffer, length, flags);
    if (strcmp(call, "recvfrom") == 0)
        return recvfrom(fd, buffer, length, flags, (struct sockaddr *)address, room);
    if (strcmp(call, "recvmsg") == 0)
        return receive_message(fd, buffer, length, flags, address, room, false);
    if (strcmp(call, "recvmmsg") == 0)
        return receive_message(fd, buffer, length, flags, address, room, true);
    if (strcmp(call, "read") == 0)
        return read(fd, buffer, length);
    must(strcmp(call, "readv") == 0, call);
    return readv(fd, pieces, pieces_of(buffer, length, pieces));
}

#endif
