/* Opening and mapping a trace. Whatever is found is somebody else's until proven to be a trace. */
#include "trace_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS   1034
#define F_SEAL_SHRINK 0x0002
#endif

static const struct trace_error OK = {NULL, 0};

static struct trace_error failed(const char *what, int error)
{
    return (struct trace_error){what, error};
}

/* fstat without the symbol: glibc 2.33 gave fstat a new version, and this library loads on 2.17. On these machines
 * libc's structure is the kernel's. */
#ifdef SYS_fstat64
typedef struct stat64 kernel_stat;
#define SYS_KERNEL_FSTAT SYS_fstat64
#else
typedef struct stat kernel_stat;
#define SYS_KERNEL_FSTAT SYS_fstat
#endif

static bool power_of_two(uint64_t number, uint64_t max)
{
    return number != 0 && number <= max && (number & (number - 1)) == 0;
}

static struct trace_error check_header(const struct recvshim_header *header)
{
    if (memcmp(header->magic, RECVSHIM_MAGIC, sizeof header->magic) != 0)
        return failed("is not a recvshim trace", 0);
    if (header->byte_order != RECVSHIM_BYTE_ORDER)
        return failed("was written on a machine of the other byte order", 0);
    if (header->version != RECVSHIM_VERSION)
        return failed("is a recvshim trace of another version", 0);
    if (header->record_size != RECVSHIM_RECORD_SIZE || !power_of_two(header->shards, RECVSHIM_MAX_SHARDS) ||
        !power_of_two(header->slots, RECVSHIM_MAX_SLOTS) || !power_of_two(header->names, RECVSHIM_MAX_NAMES) ||
        header->processes == 0 || header->processes > RECVSHIM_MAX_PROCESSES || header->mode > RECVSHIM_MODE_STOP)
        return failed("is a damaged trace: its header makes no sense", 0);
    return OK;
}

static struct trace_error read_header(int fd, enum trace_access access, struct trace *trace)
{
    kernel_stat file;
    if (syscall(SYS_KERNEL_FSTAT, fd, &file) != 0)
        return failed("cannot be examined", errno);
    if (!S_ISREG(file.st_mode))
        return failed("is not a regular file", 0);
    if (access == TRACE_RECORD && file.st_uid != geteuid())
        return failed("belongs to another user", 0);

    ssize_t got = pread(fd, &trace->header, sizeof trace->header, 0);
    if (got < 0)
        return failed("cannot be read", errno);
    if ((size_t)got < sizeof trace->header)
        return failed("is not a recvshim trace", 0);
    struct trace_error error = check_header(&trace->header);
    if (error.what != NULL)
        return error;

    trace->layout =
        recvshim_layout(trace->header.shards, trace->header.slots, trace->header.processes, trace->header.names);
    if ((uint64_t)file.st_size < trace->layout.size)
        return failed("is a damaged trace: it has been truncated", 0);
    if ((uint64_t)file.st_size > trace->layout.size)
        return failed("is a damaged trace: it is longer than its header says", 0);
    if (trace->layout.size > SIZE_MAX / 2)
        return failed("is too large for a 32-bit process", 0);
    return OK;
}

/* A shared lock lasts as long as the file stays mapped, and goes with a SIGKILL: an exclusive one, had by the command,
 * proves that nobody writes. The command holds its own for a moment only, so this is tried for a while and never waited
 * for: a stopped command must not stop a program. */
static void lock_while_mapped(int fd)
{
    for (int tries = 0; flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK && tries < 100; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

struct trace_error trace_map(int fd, enum trace_access access, struct trace *trace)
{
    memset(trace, 0, sizeof *trace);
    trace->access = access;
    trace->fd = -1;
    struct trace_error error = read_header(fd, access, trace);
    if (error.what != NULL) {
        close(fd);
        return error;
    }
    if (access == TRACE_RECORD)
        lock_while_mapped(fd);

    int protection = access == TRACE_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    size_t size = (size_t)trace->layout.size;
    char *base = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        error = failed("cannot be mapped", errno);
        close(fd);
        return error;
    }
    if (access == TRACE_RECORD || access == TRACE_REPAIR)
        mprotect(base, RECVSHIM_WRITABLE_OFFSET, PROT_READ);
    if (access == TRACE_RECORD) {
        madvise(base, size, MADV_DONTDUMP); /* a core dump is the program's, and need not hold the trace as well */
        close(fd);
    } else {
        trace->fd = fd;
    }

    trace->base = base;
    trace->control = (struct recvshim_control *)(void *)(base + RECVSHIM_CONTROL_OFFSET);
    trace->counters = (struct recvshim_counters *)(void *)(base + trace->layout.counters);
    trace->rules = (struct recvshim_rule_counters *)(void *)(base + trace->layout.rules);
    trace->cursors = (struct recvshim_cursor *)(void *)(base + trace->layout.cursors);
    trace->processes = (struct recvshim_process *)(void *)(base + trace->layout.processes);
    trace->names = (struct recvshim_name *)(void *)(base + trace->layout.names);
    trace->slots = (struct recvshim_slot *)(void *)(base + trace->layout.slots);
    return OK;
}

bool trace_path_is_memory(const char *path)
{
    const char *parts[] = {"/proc/", "/fd/"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t length = strlen(parts[i]);
        if (strncmp(path, parts[i], length) != 0 || !isdigit((unsigned char)path[length]))
            return false;
        path += length;
        while (isdigit((unsigned char)*path))
            path++;
    }
    return *path == '\0';
}

struct trace_error trace_open(const char *path, enum trace_access access, struct trace *trace)
{
    bool memory = trace_path_is_memory(path);
    /* O_NONBLOCK and O_NOCTTY: whatever stands there, opening it neither waits nor takes a terminal. */
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE; /* it is looked at before it is too large to map */
    flags |= access == TRACE_READ ? O_RDONLY : O_RDWR;
    flags |= memory ? 0 : O_NOFOLLOW;
    int fd = open(path, flags);
    if (fd < 0)
        return errno == ELOOP ? failed("is a symbolic link, and those are not followed", 0)
                              : failed("cannot be opened", errno);
    if (memory) {
        int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
            close(fd);
            return failed("is not memory sealed against shrinking", 0);
        }
    }
    return trace_map(fd, access, trace);
}

struct trace_error trace_join(const char *path, const struct trace_options *options, struct trace *trace)
{
    /* Another process may make the file, or remove it, between two steps: begin again, but not for ever. */
    struct trace_error error = OK;
    for (int tries = 0; tries < 10; tries++) {
        error = trace_open(path, TRACE_RECORD, trace);
        if (error.error != ENOENT || trace_path_is_memory(path))
            return error;
        error = trace_create(path, options);
        if (error.what != NULL && error.error != EEXIST)
            return error;
    }
    return error;
}

void trace_close(struct trace *trace)
{
    munmap(trace->base, (size_t)trace->layout.size);
    if (trace->fd >= 0)
        close(trace->fd);
    trace->base = NULL;
    trace->fd = -1;
}
