/* Opening files whose names come from outside. */
#ifndef REGULAR_H
#define REGULAR_H

/* Open it if it is a regular file: it is looked at first, as opening a device or a FIFO could do things. Returns -1 and
 * sets errno otherwise. */
int regular_open(const char *path, int flags);

#endif
