/* Where librecvshim.so is, and how the loader is told. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <limits.h>
#include <stdbool.h>

struct library {
    char path[PATH_MAX]; /* of this command's own class; absolute */
    /* What LD_PRELOAD has to say. Where it lies in a directory that has the name that $LIB stands for, a literal $LIB
     * in its place: each program's loader then looks for the library of its own class. */
    char preload[PATH_MAX];
};

/* $RECVSHIM_LIBRARY, in which a $LIB may stand, else the one that was installed or built with this command. Returns
 * false if there is none there; `path` then holds where it was looked for last. */
bool library_find(struct library *library);

/* Whether there is one for 32-bit programs of this machine, too, where $LIB leads their loader. */
bool library_has_32bit(const struct library *library);

#endif
