/* A dlsym that allocates, at each call, as libc's own does when it fails, and did of old in each thread. */
#include "victim.h"

#include <dlfcn.h>

#if defined __x86_64__ && defined __LP64__
#define OLDEST "GLIBC_2.2.5"
#elif defined __i386__
#define OLDEST "GLIBC_2.0"
#else
#define OLDEST "GLIBC_2.17"
#endif

/* RTLD_NEXT is what comes behind this library: to be preloaded behind whoever looks something up. */
void *dlsym(void *restrict where, const char *restrict name)
{
    void *volatile memory = malloc(1);
    void *(*next)(void *, const char *) =
        (void *(*)(void *, const char *))(uintptr_t)dlvsym(RTLD_NEXT, "dlsym", OLDEST);
    void *found = next(where, name);
    free(memory);
    return found;
}
