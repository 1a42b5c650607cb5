/* A lower layer that stands in for read alone, and says how often it was called on a socket. */
#include "victim.h"

#include <dlfcn.h>

static long long reads;

ssize_t read(int fd, void *buffer, size_t length)
{
    ssize_t (*next)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))(uintptr_t)dlsym(RTLD_NEXT, "read");
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    int error = errno;
    if (getsockname(fd, (struct sockaddr *)&name, &size) == 0)
        reads++;
    errno = error;
    return next(fd, buffer, length);
}

__attribute__((destructor)) static void tell(void)
{
    say("lower_reads", reads);
}
