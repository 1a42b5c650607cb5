#include "library.h"

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
static bool take(struct library *library, const char *path)
{
    char own[PATH_MAX];
    const char *named = replace(path, DST, RECVSHIM_LIB, own) ? own : path;
    snprintf(library->path, PATH_MAX, "%s", named);
    if (realpath(named, library->path) == NULL || access(library->path, R_OK) != 0)
        return false;
    if (!replace(library->path, "/" RECVSHIM_LIB "/", "/" DST "/", library->preload))
        memcpy(library->preload, library->path, sizeof library->preload);
    return true;
}

bool library_find(struct library *library)
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

/* What $LIB stands for in 32-bit programs: with glibc for i386 from Debian, from Debian's amd64, and elsewhere. */
bool library_has_32bit(const struct library *library)
{
    static const char *const names[] = {"/lib/i386-linux-gnu/", "/lib32/", "/lib/"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (replace(library->preload, "/" DST "/", names[i], path) && access(path, R_OK) == 0)
            return true;
    return false;
}
