#include "running.h"

#include "library.h"
#include "preload/settings.h"
#include "trace/maps.h"
#include "trace/regular.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void name_file(const struct running *running, const char *file, char path[64])
{
    snprintf(path, 64, "/proc/%d/%s", (int)running->pid, file);
}

static FILE *open_file(const struct running *running, const char *file)
{
    char path[64];
    name_file(running, file, path);
    return fopen(path, "re");
}

static void read_comm(struct running *running)
{
    FILE *file = open_file(running, "comm");
    if (file == NULL)
        return;
    if (fgets(running->comm, sizeof running->comm, file) != NULL)
        running->comm[strcspn(running->comm, "\n")] = '\0';
    fclose(file);
}

/* proc_pid_status(5). Returns the letter of its state, or 0. */
static char read_status(struct running *running)
{
    char *line = NULL, state = '\0';
    size_t room = 0;
    int number;
    FILE *file = open_file(running, "status");
    if (file == NULL)
        return state;
    while (getline(&line, &room, file) > 0) {
        if (sscanf(line, "State: %c", &state) == 1) /* NOLINT(cert-err34-c): the kernel wrote it */
            continue;
        if (sscanf(line, "Seccomp: %d", &number) == 1) /* NOLINT(cert-err34-c) */
            running->filtered = number != 0;
        else if (sscanf(line, "NoNewPrivs: %d", &number) == 1) /* NOLINT(cert-err34-c) */
            running->no_new_privileges = number != 0;
    }
    free(line);
    fclose(file);
    return state;
}

/* ---- the library ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Whether a path's last part is that name: also of a file that has been replaced since, as by a new version. */
static bool is_named(const char *path, const char *name)
{
    const char *part = last_part(path);
    size_t length = strlen(name);
    return strncmp(part, name, length) == 0 && (part[length] == '\0' || strcmp(part + length, " (deleted)") == 0);
}

/* By its name: it may be another copy, of another class, or of another mount namespace. */
static bool is_library(const char *path)
{
    static struct own_library own; /* asked of every line of a process's maps */
    if (own.path[0] == '\0')
        library_find(&own);
    return is_named(path, "librecvshim.so") || is_named(path, last_part(own.path));
}

/* Returns errno where its maps cannot be read; ESRCH where it has none any more, which is so some time before it is
 * said to have ended. */
static int find_library(struct running *running)
{
    struct maps maps;
    struct mapping mapping;
    bool any = false;
    if (!maps_open(&maps, running->pid))
        return errno;
    errno = EACCES;
    while (!running->mapped && maps_next(&maps, &mapping)) {
        any = true;
        running->settled |= strncmp(last_part(mapping.path), "libc.so", 7) == 0;
        running->mapped = mapping.path[0] == '/' && is_library(mapping.path);
        if (running->mapped)
            snprintf(running->library, sizeof running->library, "%s", mapping.path);
    }
    int error = errno;
    if (!maps_close(&maps))
        return error;
    return any ? 0 : ESRCH;
}

/* ---- how it was started ---- */

/* LD_PRELOAD's list, which colons and spaces divide. */
static void read_preload(struct running *running, char *list)
{
    char *rest = NULL;
    running->preloaded = ANSWER_NO;
    for (char *path = strtok_r(list, ": ", &rest); path != NULL; path = strtok_r(NULL, ": ", &rest)) {
        if (!is_library(path))
            continue;
        running->preloaded = ANSWER_YES;
        if (!running->mapped)
            snprintf(running->library, sizeof running->library, "%s", path);
    }
}

static void read_variable(struct running *running, char *entry)
{
    static const char preload[] = "LD_PRELOAD=", calls[] = SETTINGS_PREFIX "CALLS=";
    struct settings settings = SETTINGS_DEFAULT;
    if (strncmp(entry, preload, sizeof preload - 1) == 0)
        read_preload(running, entry + sizeof preload - 1);
    else if (strncmp(entry, calls, sizeof calls - 1) == 0 && entry[sizeof calls - 1] != '\0') {
        settings_parse(&settings, "CALLS", entry + sizeof calls - 1);
        running->chosen = ANSWER_YES;
        running->calls = settings.calls;
    }
}

/* The environment as it was when its program started, unless it has written its title there since: then nothing in it
 * looks like a variable. */
static void read_environment(struct running *running)
{
    char *entry = NULL;
    size_t room = 0, bytes = 0, variables = 0;
    ssize_t length;
    FILE *file = open_file(running, "environ");
    if (file == NULL)
        return;
    running->preloaded = running->chosen = ANSWER_NO;
    while ((length = getdelim(&entry, &room, '\0', file)) > 0) {
        bytes += (size_t)length;
        variables += strchr(entry, '=') != NULL;
        read_variable(running, entry);
    }
    if (ferror(file) || (bytes > 0 && variables == 0))
        running->preloaded = running->chosen = ANSWER_UNKNOWN;
    free(entry);
    fclose(file);
}

/* The auxiliary vector, in words of the program's own class. */
static void read_secure(struct running *running)
{
    union {
        char bytes[2048];
        Elf64_auxv_t wide[2048 / sizeof(Elf64_auxv_t)];
        Elf32_auxv_t narrow[2048 / sizeof(Elf32_auxv_t)];
    } vector;
    FILE *file = open_file(running, "auxv");
    if (file == NULL)
        return;
    size_t size = fread(vector.bytes, 1, sizeof vector.bytes, file);
    fclose(file);
    /* The first entry's type is a small number: in words of 4 bytes its value comes where a word of 8 has its zeros. */
    bool wide = size >= sizeof(Elf64_auxv_t) && vector.wide[0].a_type <= UINT32_MAX;
    for (size_t i = 0; wide && i < size / sizeof vector.wide[0]; i++)
        if (vector.wide[i].a_type == AT_SECURE)
            running->secure = vector.wide[i].a_un.a_val != 0 ? ANSWER_YES : ANSWER_NO;
    for (size_t i = 0; !wide && i < size / sizeof vector.narrow[0]; i++)
        if (vector.narrow[i].a_type == AT_SECURE)
            running->secure = vector.narrow[i].a_un.a_val != 0 ? ANSWER_YES : ANSWER_NO;
}

static void count_rings(struct running *running)
{
    char path[64];
    name_file(running, "fd", path);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[64];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        running->rings += strcmp(target, "anon_inode:[io_uring]") == 0;
    }
    closedir(directory);
}

const char *running_look(pid_t pid, struct running *running, int *error)
{
    memset(running, 0, sizeof *running);
    running->pid = pid;
    running->preloaded = running->secure = running->chosen = ANSWER_UNKNOWN;
    *error = 0;
    if (kill(pid, 0) != 0 && errno == ESRCH)
        return "does not exist";
    read_comm(running);
    char path[64], state = read_status(running);
    if (state == 'Z' || state == 'X')
        return "has ended, and waits for its parent to notice";
    name_file(running, "exe", path);
    ssize_t length = readlink(path, running->program, sizeof running->program - 1);
    *error = length < 0 ? errno : 0;
    if (*error == ENOENT) {
        *error = 0;
        return "is a thread of the kernel, or has just ended";
    }
    if (length < 0)
        return "cannot be looked into";
    running->program[length] = '\0';
    *error = find_library(running);
    if (*error == ESRCH) {
        *error = 0;
        return "has just ended";
    }
    if (*error != 0)
        return "cannot be looked into";
    read_environment(running);
    read_secure(running);
    count_rings(running);
    return NULL;
}

/* ---- why ---- */

static bool is_in_its_files(const struct running *running, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "/proc/%d/root%s", (int)running->pid, running->library);
    bool relative = running->library[0] != '/';
    return relative || strchr(running->library, '$') != NULL || length >= PATH_MAX || access(path, R_OK) == 0;
}

static void say_why(const struct running *running, struct inspection *inspection)
{
    char path[PATH_MAX];
    const char *why;
    inspection->verdict = INSPECT_UNLOADED;
    if (running->preloaded == ANSWER_NO)
        why = "was started without the library: its environment had no LD_PRELOAD that names it";
    else if (running->preloaded == ANSWER_UNKNOWN)
        why = "was started without the library, as far as can be seen: it has overwritten its environment";
    else if (!is_in_its_files(running, path))
        why = "was started with an LD_PRELOAD that names a library which is not there, for it";
    else
        why = "was started with the library in LD_PRELOAD, but its loader has not loaded it";
    snprintf(inspection->reason, sizeof inspection->reason, "%s", why);
}

void running_inspect(const struct running *running, struct inspection *inspection)
{
    char path[64];
    name_file(running, "exe", path);
    inspect_file(regular_open(path, O_RDONLY), running->program, inspection);
    if (inspection->verdict == INSPECT_UNREADABLE)
        snprintf(inspection->reason, sizeof inspection->reason, "cannot be looked into, or has just ended: %s",
                 strerror(inspection->resolution.error));
    if (inspection->verdict == INSPECT_UNREADABLE || inspection->verdict == INSPECT_NO_PROGRAM)
        return;
    inspection->privileges.gained = running->secure == ANSWER_YES;
    inspect_judge(inspection);
    if (!running->mapped && inspection->verdict == INSPECT_TRACEABLE)
        say_why(running, inspection);
    if (running->mapped && inspection->verdict != INSPECT_GO)
        inspect_settle(inspection);
}

static bool is_object(const struct mapping *mapping)
{
    return mapping->permissions[2] == 'x' && mapping->inode != 0 && mapping->path[0] == '/' &&
           !is_library(mapping->path) && !object_is_glibc_loader(mapping->path);
}

void running_libraries(const struct running *running, struct libraries *libraries)
{
    struct maps maps;
    struct mapping mapping;
    char path[64];
    name_file(running, "exe", path);
    int fd = regular_open(path, O_RDONLY);
    if (fd < 0 || !maps_open(&maps, running->pid)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    libraries_add(libraries, running->program, running->program, fd);
    while (maps_next(&maps, &mapping)) {
        fd = is_object(&mapping) ? maps_open_file(&maps, &mapping, O_RDONLY) : -1;
        if (fd >= 0 && !libraries_have(libraries, fd))
            libraries_add(libraries, last_part(mapping.path), mapping.path, fd);
        else if (fd >= 0)
            close(fd);
    }
    maps_close(&maps);
    libraries_relate(libraries);
}
