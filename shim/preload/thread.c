#include "thread.h"

#include "next.h"

#include <pthread.h>

_Thread_local struct thread thread_self;

/* A handler may interrupt this and do the same: it finds the same. `error` last, because it says that all are there;
 * the barrier is for the compiler alone, a thread sees its own stores in order. */
void thread_start(void)
{
    const char *thread = (const char *)pthread_self(), *pointer = (const char *)__builtin_thread_pointer();
    struct next_offsets offsets = next_offsets();
    thread_self.tid = offsets.tid != 0 ? (const volatile uint32_t *)(const void *)(thread + offsets.tid) : NULL;
    thread_self.cpu = offsets.cpu != 0 ? (const volatile int32_t *)(const void *)(pointer + offsets.cpu) : NULL;
    atomic_signal_fence(memory_order_release);
    thread_self.error = &errno;
}
