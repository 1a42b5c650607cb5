#include "locate.h"

#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct trace_error failed(const char *what, int error)
{
    return (struct trace_error){what, error};
}

/* A trace is mapped shared, from its first byte on. Only files on a disk or in memory have such a map and a name. */
static bool may_be_trace(const struct mapping *mapping)
{
    return mapping->permissions[3] == 's' && mapping->offset == 0 && mapping->inode != 0 && mapping->path[0] == '/';
}

/* RECVSHIM_TRACE as the process was given it: the way to the memory that `recvshim run` holds, where the file has no
 * name and map_files is for the superuser only. */
static bool read_setting(pid_t pid, char *path, size_t size)
{
    static const char name[] = "RECVSHIM_TRACE=";
    char file_name[64];
    snprintf(file_name, sizeof file_name, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(file_name, "re");
    if (file == NULL)
        return false;
    char *entry = NULL;
    size_t room = 0;
    bool found = false;
    ssize_t length;
    while (!found && (length = getdelim(&entry, &room, '\0', file)) > 0) {
        size_t value_size = (size_t)length + 1 - (sizeof name - 1); /* with its terminator, which the last may lack */
        found = strncmp(entry, name, sizeof name - 1) == 0 && value_size <= size;
        if (found)
            memcpy(path, entry + sizeof name - 1, value_size);
    }
    free(entry);
    fclose(file);
    return found;
}

static int open_mapping(const struct maps *maps, const struct mapping *mapping, enum trace_access access)
{
    char path[PATH_MAX];
    int flags = access == TRACE_READ ? O_RDONLY : O_RDWR;
    int fd = maps_open_file(maps, mapping, flags);
    if (fd < 0 && strncmp(mapping->path, "/memfd:", 7) == 0 && read_setting(maps->pid, path, sizeof path))
        fd = maps_open_same(path, mapping, flags);
    return fd;
}

static struct trace_error search(struct maps *maps, enum trace_access access, struct trace *trace)
{
    struct trace_error result = failed("has no trace mapped: it does not run under recvshim, or traces nothing", 0);
    struct mapping mapping;
    while (maps_next(maps, &mapping)) {
        if (!may_be_trace(&mapping))
            continue;
        int fd = open_mapping(maps, &mapping, access);
        if (fd < 0) {
            if (strncmp(mapping.path, "/memfd:recvshim", 15) == 0)
                result = failed("has a trace mapped that cannot be opened from here", errno);
            continue;
        }
        if (trace_map(fd, access, trace).what == NULL)
            return failed(NULL, 0);
    }
    return result;
}

static bool proc_is_mounted(void)
{
    return access("/proc/self", F_OK) == 0;
}

struct trace_error locate_open(pid_t pid, enum trace_access access, struct trace *trace)
{
    struct maps maps;
    if (kill(pid, 0) != 0 && errno == ESRCH)
        return failed("does not exist", 0);
    if (!maps_open(&maps, pid)) {
        if (errno != ENOENT)
            return failed("cannot be looked into", errno);
        return failed(proc_is_mounted() ? "does not exist" : "cannot be looked into: /proc is not mounted", 0);
    }
    struct trace_error error = search(&maps, access, trace);
    if (!maps_close(&maps) && error.what != NULL)
        error = failed("cannot be looked into", EACCES);
    return error;
}

enum locate_answer locate_has(pid_t pid, const struct trace *trace)
{
    char name[PATH_MAX];
    return locate_name(pid, trace, name);
}

enum locate_answer locate_name(pid_t pid, const struct trace *trace, char name[PATH_MAX])
{
    struct stat file;
    struct maps maps;
    struct mapping mapping;
    name[0] = '\0';
    if (!maps_open(&maps, pid))
        return LOCATE_UNKNOWN;
    enum locate_answer answer = fstat(trace->fd, &file) == 0 ? LOCATE_NO : LOCATE_UNKNOWN;
    while (answer == LOCATE_NO && maps_next(&maps, &mapping)) {
        /* Not the device: a file system of several (btrfs) has one number here, and another one there. */
        if (!may_be_trace(&mapping) || mapping.inode != file.st_ino)
            continue;
        answer = LOCATE_YES;
        snprintf(name, PATH_MAX, "%s", mapping.path);
    }
    if (!maps_close(&maps))
        answer = LOCATE_UNKNOWN;
    return answer;
}
