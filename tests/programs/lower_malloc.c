/* A malloc that receives, at each call: an allocator that asks a server, say. Whatever calls it from inside a lock, or
 * from inside dlsym, is in trouble; and whatever calls it from inside a receive never comes to an end. */
#include "victim.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static void receive(void)
{
    int error = errno;
    char byte;
    recv(-1, &byte, 1, 0);
    recvfrom(-1, &byte, 1, 0, NULL, NULL);
    errno = error;
}

void *malloc(size_t size)
{
    receive();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    receive();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    receive();
    return __libc_realloc(memory, size);
}
