/* A lower layer that has descriptors above 65,535 where the kernel allows none: it takes that off the number. */
#include "victim.h"

#include <dlfcn.h>

enum { TAKEN_OFF = 65536 };

static int real(int fd)
{
    return fd >= TAKEN_OFF ? fd - TAKEN_OFF : fd;
}

int dup2(int fd, int copy)
{
    int (*next)(int, int) = (int (*)(int, int))(uintptr_t)dlsym(RTLD_NEXT, "dup2");
    return next(real(fd), real(copy)) == -1 ? -1 : copy;
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))(uintptr_t)dlsym(RTLD_NEXT, "recv");
    return next(real(fd), buffer, length, flags);
}

ssize_t read(int fd, void *buffer, size_t length)
{
    ssize_t (*next)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))(uintptr_t)dlsym(RTLD_NEXT, "read");
    return next(real(fd), buffer, length);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    int (*next)(int, int, int, void *, socklen_t *) =
        (int (*)(int, int, int, void *, socklen_t *))(uintptr_t)dlsym(RTLD_NEXT, "getsockopt");
    return next(real(fd), level, option, value, length);
}
