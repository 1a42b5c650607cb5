#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool replace_possible(const char *path)
{
    struct stat file;
    return lstat(path, &file) != 0 ? errno == ENOENT : S_ISREG(file.st_mode);
}

struct trace_error replace_begin(struct replacement *replacement, const char *path, const struct trace *trace, int *fd)
{
    struct stat file, other;
    if (fstat(trace->fd, &other) == 0 && stat(path, &file) == 0 && file.st_dev == other.st_dev &&
        file.st_ino == other.st_ino)
        return (struct trace_error){"is the trace itself; write to another file", 0};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    int length = snprintf(replacement->temporary, sizeof replacement->temporary, "%.*s.%s.XXXXXX", (int)(name - path),
                          path, name);
    if (length < 0 || (size_t)length >= sizeof replacement->temporary)
        return (struct trace_error){"cannot be replaced", ENAMETOOLONG};
    replacement->path = path;
    *fd = mkostemp(replacement->temporary, O_CLOEXEC);
    if (*fd < 0)
        return (struct trace_error){"cannot be replaced", errno};
    /* As open() would have made it: others read it, under other users. */
    mode_t mask = umask(0);
    umask(mask);
    fchmod(*fd, 0666 & ~mask);
    return (struct trace_error){NULL, 0};
}

struct trace_error replace_end(struct replacement *replacement, int fd)
{
    if (close(fd) == 0 && rename(replacement->temporary, replacement->path) == 0)
        return (struct trace_error){NULL, 0};
    struct trace_error error = {"cannot be replaced", errno};
    unlink(replacement->temporary);
    return error;
}

void replace_abandon(struct replacement *replacement, int fd)
{
    close(fd);
    unlink(replacement->temporary);
}
