#include "loader_cache.h"

#include "trace/regular.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_MAX (1 << 26) /* bytes; a large one has 300,000 */

/* struct cache_file_new and struct file_entry_new. */
struct header {
    char magic[20]; /* "glibc-ld.so.cache1.1" */
    uint32_t count;
    uint32_t strings_size;
    uint32_t rest[5];
};
struct entry {
    int32_t flags;
    uint32_t name, path; /* offsets */
    uint32_t os_version;
    uint64_t hardware;
};
static const char magic[] = "glibc-ld.so.cache1.1";

/* Before glibc 2.32 an older table came first: `ld.so-1.7.0`, a count, and 12 bytes for each. */
static size_t find_start(const struct loader_cache *cache)
{
    static const char old_magic[] = "ld.so-1.7.0";
    uint32_t count;
    if (cache->size < 16 || memcmp(cache->bytes, old_magic, sizeof old_magic - 1) != 0)
        return 0;
    memcpy(&count, cache->bytes + 12, sizeof count);
    return (16 + (size_t)count * 12 + 7) & ~(size_t)7;
}

static bool read_header(const struct loader_cache *cache, struct header *header)
{
    if (cache->bytes == NULL || cache->start > cache->size || cache->size - cache->start < sizeof *header)
        return false;
    memcpy(header, cache->bytes + cache->start, sizeof *header);
    return memcmp(header->magic, magic, sizeof header->magic) == 0;
}

void loader_cache_open(struct loader_cache *cache, const char *path)
{
    struct stat file;
    memset(cache, 0, sizeof *cache);
    int fd = regular_open(path, O_RDONLY);
    if (fd < 0)
        return;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0 && file.st_size <= CACHE_MAX)
        cache->bytes = calloc(1, (size_t)file.st_size + 1); /* ends its last string in any case */
    if (cache->bytes != NULL) {
        ssize_t got = read(fd, cache->bytes, (size_t)file.st_size);
        cache->size = got > 0 ? (size_t)got : 0;
        cache->start = find_start(cache);
    }
    close(fd);
}

void loader_cache_close(struct loader_cache *cache)
{
    free(cache->bytes);
}

static const char *string_at(const struct loader_cache *cache, uint32_t offset)
{
    return offset < cache->size - cache->start ? cache->bytes + cache->start + offset : "";
}

const char *loader_cache_next(const struct loader_cache *cache, const char *name, size_t *at)
{
    struct header header;
    if (!read_header(cache, &header))
        return NULL;
    size_t room = (cache->size - cache->start - sizeof header) / sizeof(struct entry);
    while (*at < header.count && *at < room) {
        struct entry entry;
        memcpy(&entry, cache->bytes + cache->start + sizeof header + (*at)++ * sizeof entry, sizeof entry);
        if (strcmp(string_at(cache, entry.name), name) == 0)
            return string_at(cache, entry.path);
    }
    return NULL;
}
