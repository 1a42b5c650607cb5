/* Where librecvshim.so is. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "machine.h"

#include <limits.h>
#include <stdbool.h>

/* Its absolute path: $RECVSHIM_LIBRARY, else the one built beside this command, else the installed one. Returns false
 * if there is none there; `path` then holds where it was looked for last. */
bool library_find(char path[PATH_MAX]);

/* The same of the library for programs of a kind: that one, or its sister in the directory that Debian has for the
 * kind. */
bool library_find_for(struct kind kind, char path[PATH_MAX]);

#endif
