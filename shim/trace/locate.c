#include "locate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A line of /proc/PID/maps (proc_pid_maps(5)): what is mapped there. */
struct mapping {
    uint64_t start, end, offset, inode;
    char permissions[5];
    dev_t device;
    const char *path; /* points into the line */
};

static struct trace_error failed(const char *what, int error)
{
    return (struct trace_error){what, error};
}

static bool parse_mapping(char *line, struct mapping *mapping)
{
    unsigned int major_number, minor_number;
    int path = 0;
    line[strcspn(line, "\n")] = '\0';
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers. */
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &mapping->start, &mapping->end,
               mapping->permissions, &mapping->offset, &major_number, &minor_number, &mapping->inode, &path) < 7 ||
        path == 0)
        return false;
    mapping->device = makedev(major_number, minor_number);
    mapping->path = line + path;
    return true;
}

/* A trace is mapped shared, from its first byte on. Only files on a disk or in memory have such a map and a name. */
static bool may_be_trace(const struct mapping *mapping)
{
    return mapping->permissions[3] == 's' && mapping->offset == 0 && mapping->inode != 0 && mapping->path[0] == '/';
}

/* Looked at before it is opened: opening a device or a FIFO that has taken the name could do things. */
static int open_regular(const char *path, enum trace_access access)
{
    struct stat file;
    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode))
        return -1;
    return open(path, (access == TRACE_READ ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Open what the path leads to if it is the very file that is mapped; -1 otherwise. */
static int open_same(const char *path, const struct mapping *mapping, enum trace_access access)
{
    struct stat file;
    int fd = open_regular(path, access);
    if (fd < 0)
        return -1;
    if (fstat(fd, &file) != 0 || file.st_dev != mapping->device || file.st_ino != mapping->inode) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
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

static int open_mapping(pid_t pid, const struct mapping *mapping, enum trace_access access)
{
    char path[PATH_MAX];
    /* The mapped file itself, also when its name is gone or means another file by now. */
    snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, mapping->start, mapping->end);
    int fd = open_regular(path, access);
    if (fd < 0)
        fd = open_same(mapping->path, mapping, access);
    if (fd < 0 && strncmp(mapping->path, "/memfd:", 7) == 0 && read_setting(pid, path, sizeof path))
        fd = open_same(path, mapping, access);
    return fd;
}

static struct trace_error search(pid_t pid, FILE *maps, enum trace_access access, struct trace *trace)
{
    struct trace_error result = failed("has no trace mapped: it does not run under recvshim, or traces nothing", 0);
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (!found && getline(&line, &room, maps) > 0) {
        struct mapping mapping;
        if (!parse_mapping(line, &mapping) || !may_be_trace(&mapping))
            continue;
        int fd = open_mapping(pid, &mapping, access);
        if (fd < 0) {
            if (strncmp(mapping.path, "/memfd:recvshim", 15) == 0)
                result = failed("has a trace mapped that cannot be opened from here", errno);
            continue;
        }
        found = trace_map(fd, access, trace).what == NULL;
    }
    free(line);
    return found ? failed(NULL, 0) : result;
}

static FILE *open_maps(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    return fopen(path, "re");
}

struct trace_error locate_open(pid_t pid, enum trace_access access, struct trace *trace)
{
    if (kill(pid, 0) != 0 && errno == ESRCH)
        return failed("does not exist", 0);
    FILE *maps = open_maps(pid);
    if (maps == NULL)
        return errno == ENOENT ? failed("does not exist", 0) : failed("cannot be looked into", errno);
    struct trace_error error = search(pid, maps, access, trace);
    if (error.what != NULL && ferror(maps))
        error = failed("cannot be looked into", EACCES);
    fclose(maps);
    return error;
}

enum locate_answer locate_has(pid_t pid, const struct trace *trace)
{
    struct stat file;
    FILE *maps = open_maps(pid);
    if (maps == NULL)
        return LOCATE_UNKNOWN;
    enum locate_answer answer = fstat(trace->fd, &file) == 0 ? LOCATE_NO : LOCATE_UNKNOWN;
    char *line = NULL;
    size_t room = 0;
    while (answer == LOCATE_NO && getline(&line, &room, maps) > 0) {
        struct mapping mapping;
        /* Not the device: a file system of several (btrfs) has one number here, and another one there. */
        if (parse_mapping(line, &mapping) && may_be_trace(&mapping) && mapping.inode == file.st_ino)
            answer = LOCATE_YES;
    }
    if (ferror(maps))
        answer = LOCATE_UNKNOWN;
    free(line);
    fclose(maps);
    return answer;
}
