#include "maps.h"

#include "regular.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool parse(char *line, struct mapping *mapping)
{
    unsigned int major_number, minor_number;
    int path = 0;
    line[strcspn(line, "\n")] = '\0';
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers. */
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &mapping->start, &mapping->end,
               mapping->permissions, &mapping->offset, &major_number, &minor_number, &mapping->inode, &path) < 7 ||
        path == 0)
        return false;
    mapping->device = makedev(major_number, minor_number);
    mapping->path = line + path;
    return true;
}

bool maps_open(struct maps *maps, pid_t pid)
{
    char path[64];
    memset(maps, 0, sizeof *maps);
    maps->pid = pid;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps->file = fopen(path, "re");
    return maps->file != NULL;
}

bool maps_next(struct maps *maps, struct mapping *mapping)
{
    while (getline(&maps->line, &maps->room, maps->file) > 0)
        if (parse(maps->line, mapping))
            return true;
    return false;
}

bool maps_close(struct maps *maps)
{
    bool whole = ferror(maps->file) == 0;
    free(maps->line);
    fclose(maps->file);
    return whole;
}

int maps_open_same(const char *path, const struct mapping *mapping, int flags)
{
    struct stat file;
    int fd = regular_open(path, flags);
    if (fd < 0)
        return -1;
    if (fstat(fd, &file) != 0 || file.st_dev != mapping->device || file.st_ino != mapping->inode) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

int maps_open_file(const struct maps *maps, const struct mapping *mapping, int flags)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)maps->pid, mapping->start,
             mapping->end);
    int fd = regular_open(path, flags);
    if (fd < 0)
        fd = maps_open_same(mapping->path, mapping, flags);
    if (fd < 0 && snprintf(path, sizeof path, "/proc/%d/root%s", (int)maps->pid, mapping->path) < (int)sizeof path)
        fd = maps_open_same(path, mapping, flags);
    return fd;
}
