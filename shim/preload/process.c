#include "process.h"

#include "thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* getpid and gettid are system calls, of which a traced receive may make none. The pid is kept on a page that the
 * kernel clears in a child (MADV_WIPEONFORK, Linux 4.14): that holds for a raw clone too, which no handler of
 * pthread_atfork sees. A child of vfork shares the page, finds its parent's pid on it and leaves it alone.
 *
 * Relaxed: a pid stands for itself. */
struct identity {
    _Atomic uint32_t pid;        /* 0 in a child that has not recorded yet */
    _Atomic uint32_t trust_libc; /* libc's own note of a thread's tid is right in this process */
};
static struct identity without_page;
static struct identity *identity = &without_page;

/* Not wiped: in a child that has not recorded yet it still names the parent. */
static _Atomic uint32_t last_pid;

static void forget(void)
{
    atomic_store_explicit(&identity->trust_libc, 0, memory_order_relaxed);
    atomic_store_explicit(&identity->pid, 0, memory_order_relaxed);
}

void process_start(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map != MAP_FAILED && madvise(map, page, MADV_WIPEONFORK) == 0) {
        identity = map;
        return;
    }
    if (map != MAP_FAILED)
        munmap(map, page);
    pthread_atfork(NULL, NULL, forget); /* all that an older kernel allows */
}

/* The first look in a process. Two may race for it, a handler with the thread it interrupted or two threads: one wins.
 */
__attribute__((cold, noinline)) static struct process_self renew(void)
{
    struct process_self self = {.pid = (uint32_t)syscall(SYS_getpid), .tid = (uint32_t)syscall(SYS_gettid)};
    /* After a raw clone libc still has the parent's tid, and keeps it: then every look costs a system call. */
    const volatile uint32_t *tid = thread_get()->tid;
    uint32_t trust = tid != NULL && *tid == self.tid;
    atomic_store_explicit(&identity->trust_libc, trust, memory_order_relaxed);

    self.parent = atomic_load_explicit(&last_pid, memory_order_relaxed);
    uint32_t none = 0;
    self.fresh = atomic_compare_exchange_strong_explicit(&identity->pid, &none, self.pid, memory_order_relaxed,
                                                         memory_order_relaxed);
    if (self.fresh) {
        atomic_store_explicit(&last_pid, self.pid, memory_order_relaxed);
        if (self.parent == 0)
            self.parent = (uint32_t)syscall(SYS_getppid);
    }
    return self;
}

struct process_self process_self(void)
{
    uint32_t pid = atomic_load_explicit(&identity->pid, memory_order_relaxed);
    if (__builtin_expect(pid == 0, 0))
        return renew();
    bool trust = atomic_load_explicit(&identity->trust_libc, memory_order_relaxed);
    return (struct process_self){.pid = pid, .tid = trust ? *thread_get()->tid : (uint32_t)syscall(SYS_gettid)};
}
