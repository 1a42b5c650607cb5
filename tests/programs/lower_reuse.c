/* A lower layer in which, at the first end that a receive sees, another thread would have closed the descriptor and got
 * its number again, before the caller's caller knows: for a stream that ends as well, of TCP with LOWER_REUSE=tcp. */
#include "victim.h"

#include <dlfcn.h>

/* LOWER_REUSE=connect: the same at the first connect, for a connection of unix that has a byte to receive. */
int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    static bool replaced;
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))(uintptr_t)dlsym(RTLD_NEXT, "connect");
    int result = next(fd, address.__sockaddr__, length);
    if (!replaced && strcmp(getenv("LOWER_REUSE") != NULL ? getenv("LOWER_REUSE") : "", "connect") == 0) {
        int fds[2];
        replaced = true;
        close(fd);
        pair(SOCK_STREAM, fds);
        must(send(fds[1], "x", 1, 0) == 1, "send");
        if (fds[0] != fd) {
            must(dup2(fds[0], fd) == fd, "dup2");
            close(fds[0]);
        }
    }
    return result;
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    static bool replaced;
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))(uintptr_t)dlsym(RTLD_NEXT, "recv");
    ssize_t result = next(fd, buffer, length, flags);
    if (result == 0 && !replaced) {
        int error = errno, fds[2];
        replaced = true;
        close(fd);
        if (getenv("LOWER_REUSE") != NULL)
            tcp_pair(fds, NULL);
        else
            pair(SOCK_STREAM, fds);
        must(dup2(fds[0], fd) == fd, "dup2");
        close(fds[1]);
        errno = error;
    }
    return result;
}
