/* Where librecvshim.so is, and how the loader is told. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "machine.h"

#include <limits.h>
#include <stdbool.h>

struct own_library {
    char path[PATH_MAX]; /* of this command's own class; absolute */
    /* What LD_PRELOAD has to say. Where it lies in a directory that has the name that $LIB stands for, a literal $LIB
     * in its place: each program's loader then looks for the library of its own class. */
    char preload[PATH_MAX];
};

/* $RECVSHIM_LIBRARY, in which a $LIB may stand, else the one that was installed or built with this command. Returns
 * false if there is none there; `path` then holds where it was looked for last. */
bool library_find(struct own_library *library);

/* The same of the library for programs of a kind: that one, or its sister where $LIB leads their loader. */
bool library_find_for(struct kind kind, char path[PATH_MAX]);

#endif
