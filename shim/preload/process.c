#include "process.h"

#include "hot.h"
#include "query.h"
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
 * pthread_atfork sees. A child of vfork shares the page, finds its parent's pid on it and leaves it alone. A thread's
 * own notes hold in the process whose pid they bear. */
static struct process_identity without_page;
HOT struct process_identity *process_identity = &without_page;

/* Not wiped: in a child that has not recorded yet it still names the parent. */
static _Atomic uint32_t last_pid;

static void forget(void)
{
    atomic_store_explicit(&process_identity->trust_libc, 0, memory_order_relaxed);
    atomic_store_explicit(&process_identity->pid, 0, memory_order_relaxed);
    atomic_store_explicit(&process_identity->exited, 0, memory_order_relaxed);
    atomic_store_explicit(&process_identity->vforked, 0, memory_order_relaxed);
    atomic_store_explicit(&process_identity->forked_pid, 0, memory_order_relaxed);
}

/* In the child, which has one thread: libc has just been told its tid. At once and not with the first receive: the
 * program may install a filter of seccomp before it, which kills for a call that it does not expect (sshd's child that
 * talks to whoever comes). Where nothing may be asked, the parent is the one that looked last, unless this is the first
 * process of a pid namespace. What is not cleared by then is the parent's: qemu, where it emulates processes, says that
 * it will clear the page, and does not.
 */
static void learn(void)
{
    const volatile uint32_t *tid = thread_get()->tid;
    bool may_ask = query_allowed();
    uint32_t pid = tid != NULL ? *tid : may_ask ? (uint32_t)syscall(SYS_getpid) : 0;
    if (atomic_load_explicit(&process_identity->pid, memory_order_relaxed) != pid)
        forget();
    uint32_t last = pid != 1 ? atomic_load_explicit(&last_pid, memory_order_relaxed) : 0;
    atomic_store_explicit(&process_identity->forked_by, may_ask ? (uint32_t)syscall(SYS_getppid) : last,
                          memory_order_relaxed);
    atomic_store_explicit(&process_identity->forked_pid, pid, memory_order_relaxed);
}

void process_start(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map != MAP_FAILED && madvise(map, page, MADV_WIPEONFORK) == 0) {
        process_identity = map;
    } else {
        if (map != MAP_FAILED)
            munmap(map, page);
        pthread_atfork(NULL, NULL, forget); /* all that an older kernel allows */
    }
}

void process_learn_forks(void)
{
    pthread_atfork(NULL, NULL, learn); /* after forget(): children's handlers run in the order of their registration */
}

/* Libc's note of this thread's tid; NULL where it is not to be trusted, or not to be found: a thread that received
 * before the constructor had looked for it never finds it. */
static const volatile uint32_t *trusted_tid(void)
{
    bool trust = atomic_load_explicit(&process_identity->trust_libc, memory_order_relaxed);
    return trust ? thread_get()->tid : NULL;
}

/* The first look in a process. Two may race for it, a handler with the thread it interrupted or two threads: one wins.
 */
static bool claim_process(uint32_t *parent)
{
    const volatile uint32_t *tid = thread_get()->tid;
    uint32_t learned = atomic_load_explicit(&process_identity->forked_pid, memory_order_relaxed), none = 0;
    uint32_t pid = learned != 0 ? learned : (uint32_t)syscall(SYS_getpid);
    /* After a raw clone libc still has the parent's tid, and keeps it: then a thread's first look costs a call. Fork
     * has set it right. */
    uint32_t trust = tid != NULL && (learned != 0 || *tid == (uint32_t)syscall(SYS_gettid));
    *parent = atomic_load_explicit(&last_pid, memory_order_relaxed);
    /* So it is in a child of vfork, where it is the parent's, whose memory this is and whose first look this must be:
     * right after _Fork, which calls no handlers, and after a raw clone as wrong as in that parent itself. */
    if (learned == 0 && !trust && thread_self.vfork_depth == 1 && process_has_vforked()) {
        pid = (uint32_t)syscall(SYS_getppid);
        trust = tid != NULL && *tid == pid;
    }
    atomic_store_explicit(&process_identity->trust_libc, trust, memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&process_identity->pid, &none, pid, memory_order_release,
                                                 memory_order_relaxed))
        return false;
    atomic_store_explicit(&last_pid, pid, memory_order_relaxed);
    /* 0 for a parent outside of our pid namespace, whose number would mean nothing in it. */
    uint32_t visible = learned != 0 ? atomic_load_explicit(&process_identity->forked_by, memory_order_relaxed)
                                    : (uint32_t)syscall(SYS_getppid);
    if (*parent == 0 || visible == 0)
        *parent = visible;
    return true;
}

bool process_renew(struct process_self *self, uint32_t *parent, bool may_ask)
{
    self->pid = 0;
    bool known = atomic_load_explicit(&process_identity->pid, memory_order_acquire) != 0;
    if (!known && !may_ask && atomic_load_explicit(&process_identity->forked_pid, memory_order_relaxed) == 0)
        return false;
    bool first = !known && claim_process(parent);
    const volatile uint32_t *tid = trusted_tid();
    if (tid == NULL && !may_ask)
        return first;
    self->pid = atomic_load_explicit(&process_identity->pid, memory_order_relaxed);
    self->tid = tid != NULL ? *tid : (uint32_t)syscall(SYS_gettid);
    /* A child of vfork that had to ask the kernel: its answer must not stay in the parent's notes. */
    bool ours = tid != NULL || (uint32_t)syscall(SYS_getpid) == self->pid;
    if (!ours)
        return first;
    /* A handler between the two notes and in them sees a pid that is not the process's, or both. */
    thread_self.noted_tid = self->tid;
    atomic_signal_fence(memory_order_release);
    thread_self.noted_pid = self->pid;
    return first;
}

bool process_exits(void)
{
    return atomic_load_explicit(&process_identity->pid, memory_order_relaxed) != 0 &&
           atomic_exchange_explicit(&process_identity->exited, 1, memory_order_relaxed) == 0;
}
