#include "thread.h"

#include "next.h"

#include <pthread.h>
#include <sched.h>

_Thread_local alignas(THREAD_ALIGNMENT) struct thread thread_self;

static const int32_t no_cpu = -1;

/* A handler may interrupt this and do the same: it finds the same. `error` last, because it says that all are there;
 * the barrier is for the compiler alone, a thread sees its own stores in order. */
void thread_start(void)
{
    const char *thread = (const char *)pthread_self(), *pointer = (const char *)__builtin_thread_pointer();
    struct next_offsets offsets = next_offsets();
    thread_self.tid = offsets.tid != 0 ? (const volatile uint32_t *)(const void *)(thread + offsets.tid) : NULL;
    thread_self.cpu = offsets.cpu != 0 ? (const volatile int32_t *)(const void *)(pointer + offsets.cpu) : &no_cpu;
    atomic_signal_fence(memory_order_release);
    thread_self.error = &errno;
}

/* On x86-64 libc asks the vDSO. Elsewhere it may make a system call, which a traced receive may not. */
int thread_stand_in_for_cpu(void)
{
#ifdef __x86_64__
    int *const error = thread_get()->error;
    const int own_error = *error;
    int cpu = sched_getcpu();
    *error = own_error;
    return cpu;
#else
    return (int)thread_self.noted_tid;
#endif
}
