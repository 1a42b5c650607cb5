#include "harness.h"

#include "trace/trace_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A victim that says nothing for so long will not any more, even if thirty others want the CPU as well. */
enum { HANGS_AFTER_MS = 300000 };

static char directory[64];

void harness_begin(void)
{
    strcpy(directory, "/dev/shm/recvshim-test.XXXXXX");
    cr_assert(mkdtemp(directory) != NULL, "mkdtemp: %s", strerror(errno));
}

void harness_end(void)
{
    DIR *entries = opendir(directory);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        const char *path = path_of(entry->d_name);
        if (unlink(path) != 0)
            rmdir(path);
    }
    if (entries != NULL)
        closedir(entries);
    rmdir(directory);
}

const char *path_of(const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

const char *trace_path(void)
{
    return path_of("trace");
}

/* setenv of an assignment NAME=VALUE; a bare NAME is unset. */
static void assign(const char *assignment)
{
    char *name = strdup(assignment);
    char *equals = strchr(name, '=');
    if (equals == NULL) {
        unsetenv(name);
    } else {
        *equals = '\0';
        setenv(name, equals + 1, 1);
    }
    free(name);
}

static const char *chosen(const char *variable, const char *own)
{
    const char *value = getenv(variable);
    return value != NULL && *value != '\0' ? value : own;
}

const char *library_path(void)
{
    return chosen("RECVSHIM_TEST_LIBRARY", RECVSHIM_LIBRARY);
}

const char *victim_path(const char *name)
{
    char *path = NULL;
    if (strchr(name, '/') != NULL)
        return name;
    return asprintf(&path, "%s/%s", chosen("RECVSHIM_TEST_VICTIMS", VICTIMS), name) < 0 ? NULL : path;
}

bool is_machine(int machine)
{
    Elf32_Half found = EM_NONE; /* it stands at the same place in both classes */
    int fd = open(library_path(), O_RDONLY | O_CLOEXEC);
    bool read = pread(fd, &found, sizeof found, offsetof(Elf32_Ehdr, e_machine)) == (ssize_t)sizeof found;
    close(fd);
    cr_assert(read, "%s: %s", library_path(), strerror(errno));
    return found == machine;
}

/* Where it is one that programs of either class may come to load: as `recvshim run` has it. */
static const char *preload_path(void)
{
    return getenv("RECVSHIM_TEST_EMULATOR") != NULL ? library_path() : PRELOAD;
}

bool under_qemu(void)
{
    const char *emulator = getenv("RECVSHIM_TEST_EMULATOR");
    return emulator != NULL && strstr(emulator, "qemu") != NULL;
}

static bool is_victim(const char *program)
{
    const char *victims = chosen("RECVSHIM_TEST_VICTIMS", VICTIMS);
    return strncmp(program, victims, strlen(victims)) == 0 && program[strlen(victims)] == '/';
}

static void execute(const char *program, const struct job *job, const char *preload)
{
    const char *emulator = getenv("RECVSHIM_TEST_EMULATOR");
    if (emulator == NULL || !is_victim(program)) {
        if (preload[0] != '\0')
            setenv("LD_PRELOAD", preload, 1);
        execv(program, (char *const *)(uintptr_t)job->argv);
        return;
    }
    /* The emulator is this machine's, and the library is not for it. */
    char assignment[4096];
    snprintf(assignment, sizeof assignment, "LD_PRELOAD=%s", preload);
    const char *argv[ARGUMENTS + 5] = {emulator, "-E", assignment, program};
    for (size_t i = 1; job->argv[i] != NULL; i++)
        argv[i + 3] = job->argv[i];
    execv(emulator, (char *const *)(uintptr_t)argv);
}

static void become(const struct job *job)
{
    char preload[4096];
    const char *libraries[] = {job->before, job->native ? NULL : preload_path(), job->after};
    preload[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(preload);
        if (libraries[i] == NULL)
            continue;
        snprintf(preload + length, sizeof preload - length, "%s%s", length ? ":" : "", victim_path(libraries[i]));
    }
    setenv("RECVSHIM_TRACE", trace_path(), 1);
    for (size_t i = 0; job->env[i] != NULL; i++)
        assign(job->env[i]);
    const char *program = victim_path(job->argv[0]);
    if (job->prepare != NULL)
        job->prepare();
    execute(program, job, preload);
    dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

struct running start(const struct job *job)
{
    int out[2], err[2];
    cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing running */
        closefrom(3);                     /* some victims count descriptors */
        become(job);
    }
    close(out[1]);
    close(err[1]);
    return (struct running){pid, out[0], err[0]};
}

/* Append what is there; false at the end. */
static bool drain(int fd, char **text, size_t *length)
{
    char part[4096];
    ssize_t got = read(fd, part, sizeof part);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    *text = realloc(*text, *length + (size_t)got + 1);
    cr_assert(*text != NULL);
    memcpy(*text + *length, part, (size_t)got);
    *length += (size_t)got;
    (*text)[*length] = '\0';
    return true;
}

struct finished finish(struct running running)
{
    struct finished done = {running.pid, 0, calloc(1, 1), calloc(1, 1)};
    size_t lengths[2] = {0, 0};
    char **texts[2] = {&done.out, &done.err};
    struct pollfd pipes[2] = {{running.out, POLLIN, 0}, {running.err, POLLIN, 0}};
    while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
        if (poll(pipes, 2, HANGS_AFTER_MS) == 0) {
            kill(running.pid, SIGKILL);
            cr_assert_fail("the victim hangs; it said: %s", done.out);
        }
        for (int i = 0; i < 2; i++) {
            if (pipes[i].fd >= 0 && pipes[i].revents != 0 && !drain(pipes[i].fd, texts[i], &lengths[i])) {
                close(pipes[i].fd);
                pipes[i].fd = -1;
            }
        }
    }
    cr_assert_eq(waitpid(running.pid, &done.status, 0), running.pid);
    return done;
}

long long said(const struct finished *job, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = job->out; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoll(line + length, NULL, 10);
    }
    cr_assert_fail("the victim did not say \"%s\"; status %#x, stdout: %s, stderr: %s", key, (unsigned)job->status,
                   job->out, job->err);
    return -1;
}

bool exited_with(const struct finished *job, int status)
{
    bool expected = WIFEXITED(job->status) && WEXITSTATUS(job->status) == status;
    if (!expected)
        cr_log_error("status %#x, stdout: %s, stderr: %s", (unsigned)job->status, job->out, job->err);
    return expected;
}

enum { NOT_PERMITTED = 77 }; /* the status of victims, too */

void need(bool worked)
{
    if (!worked)
        _exit(NOT_PERMITTED);
}

bool not_permitted(const struct finished *job)
{
    return WIFEXITED(job->status) && WEXITSTATUS(job->status) == NOT_PERMITTED;
}

void set_limit(__rlimit_resource_t resource, rlim_t value)
{
    need(setrlimit(resource, &(struct rlimit){value, value}) == 0);
}

void own_mounts(void)
{
    need(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

void without_proc(void)
{
    own_mounts();
    need(umount2("/proc", MNT_DETACH) == 0);
}

bool killed_by(const struct finished *job, int signal)
{
    return WIFSIGNALED(job->status) && WTERMSIG(job->status) == signal;
}

long long lines_of(const char *text)
{
    long long lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

void expect_line(const struct finished *job, const char *part)
{
    cr_expect_eq(lines_of(job->err), part != NULL, "stderr: %s", job->err);
    cr_expect(part == NULL || strstr(job->err, part) != NULL, "stderr should say \"%s\": %s", part, job->err);
}

static int by_time(const void *left, const void *right)
{
    const struct recvshim_record *a = left, *b = right;
    return (a->time > b->time) - (a->time < b->time);
}

/* One slot of a shard. */
static void read_slot(struct ring *ring, const struct recvshim_slot *slot, uint64_t index,
                      const struct recvshim_cursor *cursor)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (recvshim_state_of(state) == RECVSHIM_STATE_BUSY)
        ring->unfinished++;
    if (recvshim_state_of(state) != RECVSHIM_STATE_DONE)
        return;
    struct recvshim_record *record = &ring->records[ring->count];
    memcpy(record, (const void *)slot->payload, sizeof *record);
    uint64_t tail = atomic_load_explicit(&slot->tail, memory_order_relaxed);
    /* Of a trace that is still written to: a slot that was claimed anew meanwhile says nothing. */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&slot->state, memory_order_relaxed) != state)
        return;
    uint64_t position = (recvshim_laps_of(state) - 1) * ring->header.slots + index;
    bool whole =
        tail >> 2 == state >> 2 && position < atomic_load(&cursor->cursor) && recvshim_tid_of(state) == record->tid;
    ring->torn += !whole;
    ring->count += whole;
}

struct ring read_trace(const char *path)
{
    struct trace trace;
    struct trace_error error = trace_open(path, TRACE_READ, &trace);
    cr_assert(error.what == NULL, "%s %s (%s)", path, error.what, strerror(error.error));
    struct ring ring = {.header = trace.header, .slots = (long long)(trace.header.shards * trace.header.slots)};
    ring.records = calloc((size_t)ring.slots, sizeof *ring.records);
    ring.processes = calloc(trace.header.processes, sizeof *ring.processes);
    cr_assert(ring.records != NULL && ring.processes != NULL);
    for (uint32_t shard = 0; shard < trace.header.shards; shard++) {
        ring.positions += (long long)atomic_load(&trace.cursors[shard].cursor);
        ring.dropped += (long long)atomic_load(&trace.cursors[shard].dropped);
        for (uint64_t index = 0; index < trace.header.slots; index++)
            read_slot(&ring, &trace.slots[shard * trace.header.slots + index], index, &trace.cursors[shard]);
    }
    qsort(ring.records, (size_t)ring.count, sizeof *ring.records, by_time);
    for (uint32_t i = 0; i < trace.header.processes && atomic_load(&trace.processes[i].pid) != 0; i++)
        ring.processes[ring.process_count++] = trace.processes[i];
    ring.foreign = (long long)atomic_load(&trace.counters->foreign);
    trace_close(&trace);
    return ring;
}

bool is_receive(const struct recvshim_record *record)
{
    return record->call != RECVSHIM_CALL_NONE && record->event != RECVSHIM_EVENT_FAULT;
}

struct ring read_receives(const char *path)
{
    struct ring ring = read_trace(path);
    long long kept = 0;
    for (long long i = 0; i < ring.count; i++)
        if (is_receive(&ring.records[i]))
            ring.records[kept++] = ring.records[i];
    ring.others = ring.count - kept;
    ring.count = kept;
    return ring;
}

const char *events_of(const struct ring *ring)
{
    static const char letters[RECVSHIM_EVENTS + 1] = "RedEiwcax<>F";
    char *text = calloc((size_t)ring->count + 1, 1);
    cr_assert(text != NULL);
    for (long long i = 0; i < ring->count; i++)
        text[i] = letters[ring->records[i].event];
    return text;
}

void free_ring(struct ring *ring)
{
    free(ring->records);
    free(ring->processes);
}

void expect_complete(const struct ring *ring)
{
    cr_expect_eq(ring->torn, 0, "%lld records torn", ring->torn);
    cr_expect_eq(ring->unfinished, 0, "%lld slots never finished", ring->unfinished);
    cr_expect_eq(ring->dropped, 0, "%lld records dropped", ring->dropped);
    cr_expect_eq(ring->positions, ring->count + ring->others, "%lld positions, %lld records", ring->positions,
                 ring->count + ring->others);
}

long long count_events(const struct ring *ring, enum recvshim_event event)
{
    long long events = 0;
    for (long long i = 0; i < ring->count; i++)
        events += ring->records[i].event == event;
    return events;
}

long long bytes_of(const struct ring *ring, int fd)
{
    long long bytes = 0;
    for (long long i = 0; i < ring->count; i++)
        if (ring->records[i].fd == fd && ring->records[i].result > 0)
            bytes += ring->records[i].result;
    return bytes;
}

long long retries_of(const struct ring *ring)
{
    long long retries = 0;
    for (long long i = 0; i < ring->count; i++)
        retries += ring->records[i].retries;
    return retries;
}
