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

int thread_ask_cpu(void)
{
    int *const error = thread_get()->error;
    const int own_error = *error;
    int cpu = sched_getcpu();
    *error = own_error;
    return cpu;
}
