/* A lower layer that stands in for recv alone, and says how often it was called. */
#include "victim.h"

#include <dlfcn.h>

static long long receives;

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) =
        (ssize_t(*)(int, void *, size_t, int))(uintptr_t)dlsym(RTLD_NEXT, "recv");
    receives++;
    return next(fd, buffer, length, flags);
}

__attribute__((destructor)) static void tell(void)
{
    say("lower_receives", receives);
}
