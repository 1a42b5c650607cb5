#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool library_find(char path[PATH_MAX])
{
    char candidate[PATH_MAX];
    const char *given = secure_getenv("RECVSHIM_LIBRARY");
    if (given != NULL) {
        snprintf(path, PATH_MAX, "%s", given);
        if (realpath(given, candidate) == NULL)
            return false;
        memcpy(path, candidate, sizeof candidate);
        return access(path, R_OK) == 0;
    }

    ssize_t length = readlink("/proc/self/exe", candidate, sizeof candidate - 1);
    candidate[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(candidate, '/');
    static const char beside[] = "/../preload/librecvshim.so";
    if (slash != NULL && (size_t)(slash - candidate) + sizeof beside <= sizeof candidate) {
        memcpy(slash, beside, sizeof beside);
        if (realpath(candidate, path) != NULL && access(path, R_OK) == 0)
            return true;
    }
    memcpy(path, RECVSHIM_INSTALLED_LIBRARY, sizeof RECVSHIM_INSTALLED_LIBRARY);
    return access(path, R_OK) == 0;
}
