/* A lower layer in which every receive that took data is cancelled at the worst moment: after the data has left the
 * socket, and before the caller's caller knows. From here to the program there must be no cancellation point. */
#include "victim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/uio.h>

/* Not where it is a file that is read. */
static ssize_t cancelled(int fd, ssize_t result)
{
    int error = errno, type;
    socklen_t size = sizeof type;
    if (result >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
        pthread_cancel(pthread_self());
    errno = error;
    return result;
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))(uintptr_t)dlsym(RTLD_NEXT, "recv");
    return cancelled(fd, next(fd, buffer, length, flags));
}

ssize_t recvfrom(int fd, void *restrict buffer, size_t length, int flags, __SOCKADDR_ARG address,
                 socklen_t *restrict room)
{
    ssize_t (*next)(int, void *, size_t, int, struct sockaddr *, socklen_t *) =
        (ssize_t(*)(int, void *, size_t, int, struct sockaddr *, socklen_t *))(uintptr_t)dlsym(RTLD_NEXT, "recvfrom");
    return cancelled(fd, next(fd, buffer, length, flags, address.__sockaddr__, room));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t (*next)(int, struct msghdr *, int) =
        (ssize_t(*)(int, struct msghdr *, int))(uintptr_t)dlsym(RTLD_NEXT, "recvmsg");
    return cancelled(fd, next(fd, message, flags));
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
    int (*next)(int, struct mmsghdr *, unsigned int, int, struct timespec *) =
        (int (*)(int, struct mmsghdr *, unsigned int, int, struct timespec *))(uintptr_t)dlsym(RTLD_NEXT, "recvmmsg");
    return (int)cancelled(fd, next(fd, messages, count, flags, timeout));
}

ssize_t read(int fd, void *buffer, size_t length)
{
    ssize_t (*next)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))(uintptr_t)dlsym(RTLD_NEXT, "read");
    return cancelled(fd, next(fd, buffer, length));
}

ssize_t readv(int fd, const struct iovec *pieces, int count)
{
    ssize_t (*next)(int, const struct iovec *, int) =
        (ssize_t(*)(int, const struct iovec *, int))(uintptr_t)dlsym(RTLD_NEXT, "readv");
    return cancelled(fd, next(fd, pieces, count));
}
