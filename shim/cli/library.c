#include "library.h"

#include "object.h"
#include "trace/regular.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DST "$LIB" /* ld.so(8), dynamic string tokens */

/* Replace the first `from` by `to`; false where it is not there, or there is no room. */
static bool replace(const char *text, const char *from, const char *to, char result[PATH_MAX])
{
    const char *at = strstr(text, from);
    return at != NULL &&
           snprintf(result, PATH_MAX, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < PATH_MAX;
}

/* Take the library at this path, if there is one. */
static bool take(struct own_library *library, const char *path)
{
    char named[PATH_MAX];
    if (!replace(path, DST, RECVSHIM_LIB, named))
        snprintf(named, sizeof named, "%s", path);
    if (realpath(named, library->path) == NULL || access(library->path, R_OK) != 0) {
        memcpy(library->path, named, sizeof named);
        return false;
    }
    if (!replace(library->path, "/" RECVSHIM_LIB "/", "/" DST "/", library->preload))
        memcpy(library->preload, library->path, sizeof library->preload);
    return true;
}

bool library_find(struct own_library *library)
{
    const char *given = secure_getenv("RECVSHIM_LIBRARY");
    if (given != NULL)
        return take(library, given);

    /* From where the command is: installed, and in the build tree. */
    static const char *const beside[] = {"/../" RECVSHIM_LIB "/librecvshim.so",
                                         "/../../" RECVSHIM_LIB "/librecvshim.so"};
    char command[PATH_MAX], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", command, sizeof command - 1);
    command[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(command, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; slash != NULL && i < sizeof beside / sizeof beside[0]; i++)
        if (snprintf(path, sizeof path, "%s%s", command, beside[i]) < (int)sizeof path && take(library, path))
            return true;
    return take(library, RECVSHIM_INSTALLED_LIBRARY);
}

static bool is_of_kind(const char *path, struct kind kind)
{
    struct object object;
    int fd = regular_open(path, O_RDONLY);
    if (fd < 0)
        return false;
    bool same = object_read(fd, &object) == NULL && kind_equals(object.kind, kind);
    object_free(&object);
    close(fd);
    return same;
}

bool library_find_for(struct kind kind, char path[PATH_MAX])
{
    struct own_library library;
    bool there = library_find(&library);
    memcpy(path, library.path, sizeof library.path);
    /* Where there is none it is another's to say so: it would be of this command's kind. */
    if (is_of_kind(there ? library.path : "/proc/self/exe", kind))
        return true;
    /* What $LIB stands for: in Debian, in its amd64 for 32-bit programs whose libc is a package of amd64, elsewhere. */
    const char *directory = kind_directory(kind);
    char multiarch[64];
    snprintf(multiarch, sizeof multiarch, "/lib/%s/", directory != NULL ? directory : "");
    const char *const names[] = {multiarch, "/lib32/", "/lib64/", "/lib/"};
    for (size_t i = sizeof names / sizeof names[0]; i-- > 0;)
        if (replace(library.preload, "/" DST "/", names[i], path) && is_of_kind(path, kind))
            return true;
    return false;
}
