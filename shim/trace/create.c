/* Making a trace. It is built aside and published with link(2), so that whoever finds it under its name finds it
 * complete, and nothing that stands there already is ever overwritten. */
#include "clock.h"
#include "fault_rules.h"
#include "identity.h"
#include "line.h"
#include "memory_limit.h"
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const struct trace_error OK = {NULL, 0};

static struct trace_error failed(const char *what, int error)
{
    return (struct trace_error){what, error};
}

/* The highest CPU that this process may run on, plus one. */
static uint32_t allowed_cpus(void)
{
    cpu_set_t set;
    uint32_t cpus = 1;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus = cpu + 1;
    return cpus;
}

/* The number of the last CPU that this machine can have, plus one. sysconf would tell, but allocates; the affinity mask
 * tells less, as who joins later may run anywhere: it serves where there is no /sys, in a chroot. */
static uint32_t possible_cpus(void)
{
    char text[64];
    identity_read_line("/sys/devices/system/cpu/possible", text, sizeof text);
    if (text[0] == '\0')
        return allowed_cpus();
    uint32_t number = 0, last = RECVSHIM_MAX_SHARDS - 1;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at >= '0' && *at <= '9') {
            number = number < 100000 ? number * 10 + (uint32_t)(*at - '0') : number;
            last = number;
        } else {
            number = 0;
        }
    }
    return last + 1;
}

uint64_t trace_seed(const struct trace_options *options)
{
    uint64_t seed = 0;
    if (options->seeded)
        return options->seed;
    /* A kernel before 3.17 has no getrandom; the clock then serves, and the seed is in the header all the same. */
    if (syscall(SYS_getrandom, &seed, sizeof seed, 1 /* GRND_NONBLOCK */) != (long)sizeof seed)
        seed = clock_read(CLOCK_REALTIME);
    return seed;
}

static uint64_t power_of_two_below(uint64_t number)
{
    uint64_t power = 1;
    while (power <= number / 2)
        power *= 2;
    return power;
}

static uint64_t between(uint64_t low, uint64_t number, uint64_t high)
{
    return number < low ? low : number > high ? high : number;
}

static struct recvshim_header new_header(const struct trace_options *options)
{
    uint64_t records = options->size / RECVSHIM_RECORD_SIZE;
    uint32_t shards = 1;
    /* Shards beyond the CPUs would stay empty; and each needs a slot at least. */
    for (uint32_t cpus = possible_cpus();
         shards < cpus && shards < RECVSHIM_MAX_SHARDS && (uint64_t)shards * 2 <= records;)
        shards *= 2;

    struct recvshim_header header = {
        .magic = {'r', 'e', 'c', 'v', 's', 'h', 'i', 'm'},
        .version = RECVSHIM_VERSION,
        .byte_order = RECVSHIM_BYTE_ORDER,
        .record_size = RECVSHIM_RECORD_SIZE,
        .shards = shards,
        .slots = power_of_two_below(records / shards),
        .processes = (uint32_t)between(64, records / 32, RECVSHIM_MAX_PROCESSES),
        .names = (uint32_t)power_of_two_below(between(16, records / 64, RECVSHIM_MAX_NAMES)),
        .mode = options->mode,
        .clock = CLOCK_MONOTONIC,
        .monotonic = clock_read(CLOCK_MONOTONIC),
        .realtime = clock_read(CLOCK_REALTIME),
        .pid_namespace = identity_pid_namespace(),
        .seed = trace_seed(options),
    };
    identity_boot(header.boot_id);
    return header;
}

/* What a control page begins with, and the rules: what is behind them is zeros already. pwrite, not a map: an error
 * stays an error. */
static bool write_control(int fd, const struct trace_options *options)
{
#define WORD(field) (offsetof(struct recvshim_control, field) / sizeof(uint32_t))
    const struct fault_rules *faults = options->faults;
    const uint32_t rules = faults != NULL ? faults->count : 0;
    const uint32_t head[WORD(rules) + 1] = {
        [WORD(tracing)] = options->tracing ? 1U : 0U, [WORD(events)] = options->events, [WORD(rules)] = rules};
#undef WORD
    const off_t place = RECVSHIM_CONTROL_OFFSET + offsetof(struct recvshim_control, rule_words);
    const size_t size = rules * sizeof(struct recvshim_rule);
    return pwrite(fd, head, sizeof head, RECVSHIM_CONTROL_OFFSET) == (ssize_t)sizeof head &&
           (rules == 0 || pwrite(fd, faults->rules, size, place) == (ssize_t)size);
}

static bool is_in_memory(int fd)
{
    struct statfs file_system;
    return fstatfs(fd, &file_system) == 0 && file_system.f_type == TMPFS_MAGIC;
}

struct trace_error trace_format(int fd, const struct trace_options *options)
{
    struct recvshim_header header = new_header(options);
    struct recvshim_layout layout = recvshim_layout(header.shards, header.slots, header.processes, header.names);

    /* Past the limit the kernel would send SIGXFSZ, which ends the program. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < layout.size)
        return failed("cannot be made: RLIMIT_FSIZE is below its size", 0);
    if (layout.size > (uint64_t)(sizeof(off_t) == 8 ? INT64_MAX : INT32_MAX))
        return failed("cannot be made: too large for a 32-bit process", 0);
    /* It would not fail there: a limit that is reached ends processes of the cgroup. */
    if (is_in_memory(fd) && layout.size > memory_limit() / 2)
        return failed("would take more than half of its cgroup's memory: give a smaller size, or a file on a disk", 0);
    int error;
    do {
        error = posix_fallocate(fd, 0, (off_t)layout.size);
    } while (error == EINTR);
    if (error != 0)
        return failed("cannot be made", error);

    if (!write_control(fd, options) || pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return failed("cannot be written", errno);
    return OK;
}

struct trace_error trace_create(const char *path, const struct trace_options *options)
{
    /* Aside, but in the same directory: link(2) does not cross file systems. O_TMPFILE would leave nothing behind
     * after a SIGKILL in this millisecond, but linking it needs /proc, which may not be there. */
    char aside[PATH_MAX];
    struct line name = {aside, sizeof aside, 0};
    line_add(&name, path);
    line_add(&name, ".");
    line_add_number(&name, (uint64_t)getpid());
    line_add(&name, ".");
    line_add_number(&name, clock_read(CLOCK_MONOTONIC));
    if (name.length + 1 >= name.size)
        return failed("cannot be made", ENAMETOOLONG);

    int fd = open(aside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed("cannot be made", errno);
    fchmod(fd, 0600); /* whatever the umask took: who joins it opens it by its name */
    struct trace_error error = trace_format(fd, options);
    close(fd);
    if (error.what == NULL && link(aside, path) != 0)
        error = failed("cannot be made", errno);
    unlink(aside);
    return error;
}
