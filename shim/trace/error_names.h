/* Errnos by their names, as errno(3) and strace have them. libc only, and nothing is allocated. */
#ifndef ERROR_NAMES_H
#define ERROR_NAMES_H

#include <stddef.h>

/* "ECONNRESET"; NULL of one without a name. Of two names for one errno, EAGAIN, EDEADLK and EOPNOTSUPP. */
const char *error_name_of(int error);

/* The errno of a name of that length, also EWOULDBLOCK, EDEADLOCK and ENOTSUP; 0 where there is none. */
int error_by_name(const char *name, size_t length);

#endif
