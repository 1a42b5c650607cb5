/* Where libc keeps what is a thread's own: found once a thread, because finding each costs a call. The places stay the
 * same for the life of a thread, in a child of fork too; what stands there is libc's or the kernel's to change.
 *
 * Thread-local storage of the initial-exec kind: there from the thread's first instruction, in a signal handler, too.
 */
#ifndef THREAD_H
#define THREAD_H

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct thread {
    int *error;                   /* errno; NULL in a thread that has not asked yet */
    const volatile uint32_t *tid; /* NULL where libc does not say */
    const volatile int32_t *cpu;  /* the kernel's word on which CPU runs the thread (rseq): negative where it has none
                                   * to say */
    uint32_t noted_pid;           /* process.c's notes: in which process this thread was seen, and under which id */
    uint32_t noted_tid;
    _Atomic uint64_t handled; /* handled.c's note: handlers begun, of those that are watched */
    uint64_t vfork_depth;     /* vfork.h's note: 0: no child of vfork */
    uint64_t lineage;         /* origin.c's notes: where the thread comes from; 0 not known yet; */
    uint64_t sockets;         /* and what it has made */
    uint32_t threads;
    uint32_t forks;
};

/* What every receive reads of it lies on one line of the cache, where that may be asked for: dlopen refuses static
 * thread-local storage that is aligned to more than what libc itself keeps of a thread, which is 16 bytes elsewhere. */
#ifdef __x86_64__
#define THREAD_ALIGNMENT 64
#else
#define THREAD_ALIGNMENT 16
#endif
extern _Thread_local alignas(THREAD_ALIGNMENT) struct thread thread_self;

__attribute__((cold, noinline)) void thread_start(void);

static inline const struct thread *thread_get(void)
{
    if (__builtin_expect(thread_self.error == NULL, 0))
        thread_start();
    return &thread_self;
}

/* What serves where the kernel leaves no word: libc's answer, -1 for none; or a number of the thread's own, which
 * spreads threads as CPUs would. */
__attribute__((cold, noinline)) int thread_stand_in_for_cpu(void);

/* The CPU that runs this thread, or did a moment ago, or what stands in for it. */
static inline int thread_cpu(void)
{
    int number = *thread_get()->cpu;
    return __builtin_expect(number >= 0, 1) ? number : thread_stand_in_for_cpu();
}

#endif
