#include "library.h"

#include "object.h"
#include "trace/regular.h"

#include <elf.h>
#include <fcntl.h>
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
    char own[PATH_MAX];
    bool there = library_find(own);
    memcpy(path, own, sizeof own);
    /* Where there is none it is another's to say so: it would be of this command's kind. */
    if (is_of_kind(there ? own : "/proc/self/exe", kind))
        return true;
    const char *directory = kind_directory(kind);
    static const struct kind all[] = {{ELFCLASS64, EM_X86_64}, {ELFCLASS32, EM_386}, {ELFCLASS64, EM_AARCH64}};
    for (size_t i = 0; directory != NULL && i < sizeof all / sizeof all[0]; i++) {
        const char *part = kind_directory(all[i]), *at = strstr(own, part);
        if (at == NULL || snprintf(path, PATH_MAX, "%.*s%s%s", (int)(at - own), own, directory, at + strlen(part)) < 0)
            continue;
        return is_of_kind(path, kind);
    }
    return false;
}
