#include "regular.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int regular_open(const char *path, int flags)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return -1;
    if (!S_ISREG(file.st_mode)) {
        errno = EACCES; /* as exec has it */
        return -1;
    }
    return open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}
