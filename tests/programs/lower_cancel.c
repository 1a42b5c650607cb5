/* A lower layer in which every receive that took data is cancelled at the worst moment: after the data has left the
 * socket, and before the caller's caller knows. From here to the program there must be no cancellation point. */
#include "victim.h"

#include <dlfcn.h>
#include <pthread.h>

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))(uintptr_t)dlsym(RTLD_NEXT, "recv");
    ssize_t result = next(fd, buffer, length, flags);
    int error = errno;
    if (result >= 0)
        pthread_cancel(pthread_self());
    errno = error;
    return result;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t (*next)(int, struct msghdr *, int) =
        (ssize_t(*)(int, struct msghdr *, int))(uintptr_t)dlsym(RTLD_NEXT, "recvmsg");
    ssize_t result = next(fd, message, flags);
    int error = errno;
    if (result >= 0)
        pthread_cancel(pthread_self());
    errno = error;
    return result;
}
