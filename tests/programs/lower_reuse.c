/* A lower layer in which, at the first end that a receive sees, another thread would have closed the descriptor and got
 * its number again, before the caller's caller knows: for a stream that ends as well, of TCP with LOWER_REUSE=tcp. */
#include "victim.h"

#include <dlfcn.h>

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
