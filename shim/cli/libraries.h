/* A program with all the libraries that the loader would load with it: found as ld.so(8) finds them, without running
 * anything. What is loaded while it runs (dlopen) is not among them. */
#ifndef LIBRARIES_H
#define LIBRARIES_H

#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct library {
    char *name;          /* as it was asked for; the program's own: its path */
    char *path;          /* NULL: not found */
    const char *problem; /* why the file could not be read; NULL */
    size_t wanted_by;    /* which of them asked first */
    dev_t device;
    ino_t inode;
    struct object object;
};

struct libraries {
    struct library *items; /* the program is the first */
    size_t count, room;
    bool out_of_memory;
};

/* The last part of its path. */
const char *library_name(const struct library *item);

static inline bool library_has(const struct library *item, enum trait trait)
{
    return (item->object.imports.traits >> trait & 1) != 0;
}

#define LIBRARIES_CACHE "/etc/ld.so.cache"

/* Where to look. */
struct library_places {
    const char *search; /* LD_LIBRARY_PATH; NULL */
    const char *cache;  /* the path of ld.so.cache */
};

void libraries_begin(struct libraries *libraries);
void libraries_free(struct libraries *libraries);

/* Add an object that is loaded, as the next of the items; fd is closed. */
void libraries_add(struct libraries *libraries, const char *name, const char *path, int fd);
/* Whether the file is among them. */
bool libraries_have(const struct libraries *libraries, int fd);
/* Find out who wants whom, of objects that were added one by one: what nobody wants was loaded by the program itself.
 */
void libraries_relate(struct libraries *libraries);

/* Add the program at `path`, and everything that it needs. */
void libraries_walk(struct libraries *libraries, const char *path, const struct library_places *places);

#endif
