/* /etc/ld.so.cache: where the loader finds most libraries (ldconfig(8); glibc's dl-cache.h has the layout). */
#ifndef LOADER_CACHE_H
#define LOADER_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct loader_cache {
    char *bytes; /* the file; NULL: there is none, or it is of a kind unknown here */
    size_t size;
    size_t start; /* of the part that its offsets are counted from */
};

void loader_cache_open(struct loader_cache *cache, const char *path);
void loader_cache_close(struct loader_cache *cache);

/* The next path that the cache has for a library of that name, from entry *at on, which is moved on; NULL where there
 * is no more. One name may stand for libraries of several kinds. Valid until the cache is closed. */
const char *loader_cache_next(const struct loader_cache *cache, const char *name, size_t *at);

#endif
