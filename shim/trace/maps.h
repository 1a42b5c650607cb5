/* What a process has mapped: the lines of /proc/PID/maps (proc_pid_maps(5)). */
#ifndef MAPS_H
#define MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct mapping {
    uint64_t start, end, offset, inode;
    char permissions[5];
    dev_t device;
    const char *path; /* good until the next one */
};

struct maps {
    pid_t pid;
    FILE *file;
    char *line;
    size_t room;
};

/* Returns false, and sets errno, where the process may not be looked into, or is gone. */
bool maps_open(struct maps *maps, pid_t pid);
bool maps_next(struct maps *maps, struct mapping *mapping);
/* Returns whether all of them could be read. */
bool maps_close(struct maps *maps);

/* Open the mapped file itself, if it is a regular one: also where its name is gone or means another file by now, or
 * belongs to another mount namespace, as far as that is allowed. Returns -1 and sets errno on failure. */
int maps_open_file(const struct maps *maps, const struct mapping *mapping, int flags);

/* Open what a path leads to if it is the very file that is mapped. */
int maps_open_same(const char *path, const struct mapping *mapping, int flags);

#endif
