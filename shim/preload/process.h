/* Which process and thread this is, without a system call in a steady state. */
#ifndef PROCESS_H
#define PROCESS_H

#include "thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct process_self {
    uint32_t pid;
    uint32_t tid;
};

/* On a page that the kernel clears in a child, see process.c. Relaxed, but that the first pid is released and acquired:
 * whoever finds it finds trust_libc, too. */
struct process_identity {
    _Atomic uint32_t pid;        /* 0 in a child that has not recorded yet */
    _Atomic uint32_t trust_libc; /* libc's own note of a thread's tid is right in this process */
    _Atomic uint32_t exited;     /* its end has been told */
    _Atomic uint32_t vforked;    /* it has children in this memory, or had */
    _Atomic uint32_t forked_pid; /* its pid, and its parent's, as fork learned them; 0 where it did not */
    _Atomic uint32_t forked_by;
};
extern struct process_identity *process_identity;

/* Called once, by the constructor. */
void process_start(void);

/* There is a trace, which children will want to be told of: see who they are as they begin. */
void process_learn_forks(void);

/* Find out anew, and note it. Returns whether this is the first answer in a process, which exactly one caller gets;
 * *parent is the parent's pid then; 0 where the parent is outside of our pid namespace. self->pid is 0 where only the
 * kernel could tell (a child of a raw clone) and may not be asked. */
__attribute__((cold, noinline)) bool process_renew(struct process_self *self, uint32_t *parent, bool may_ask);

/* Whether this is the first time that a process which has recorded something is said to end. A child that recorded
 * nothing is not asked who it is: under a filter of seccomp that call could change the status it ends with. */
bool process_exits(void);

/* Whether this process has called vfork. */
static inline bool process_has_vforked(void)
{
    return atomic_load_explicit(&process_identity->vforked, memory_order_relaxed) != 0;
}

/* It is about to. */
static inline void process_vforks(void)
{
    atomic_store_explicit(&process_identity->vforked, 1, memory_order_relaxed);
}

/* What was noted. Returns false where nothing is: in a new thread, and in a child of fork or of a raw clone. Safe in a
 * signal handler. In a child of vfork it answers for the parent, whose memory that child runs in. */
static inline bool process_known(struct process_self *self)
{
    self->pid = atomic_load_explicit(&process_identity->pid, memory_order_relaxed);
    self->tid = thread_self.noted_tid;
    return __builtin_expect(self->pid != 0 && self->pid == thread_self.noted_pid, 1);
}

#endif
