#include "next.h"

#include "hot.h"

#include "trace/clock.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc 2.34 moved these into libc under a new version. Bound to the old one, and linked with the separate libdl, the
 * library loads on systems from before that too (rr #3414 did not). */
#if defined __x86_64__ && defined __LP64__
#define OLDEST "GLIBC_2.2.5"
#elif defined __i386__
#define OLDEST "GLIBC_2.0"
#elif defined __aarch64__
#define OLDEST "GLIBC_2.17"
#endif
#ifdef OLDEST
__asm__(".symver dlsym, dlsym@" OLDEST);
__asm__(".symver dlerror, dlerror@" OLDEST);
__asm__(".symver dlopen, dlopen@" OLDEST);
__asm__(".symver dlclose, dlclose@" OLDEST);
__asm__(".symver dladdr, dladdr@" OLDEST);
#endif

/* The beginning of the kernel's struct rseq, whose header old systems lack. */
struct kernel_rseq {
    uint32_t cpu_id_start;
    int32_t cpu_id;
};

HOT alignas(64) _Atomic(void *) next_symbols[NEXT_COUNT];

#define NEXT_NAME(name, result, parameters) [NEXT_##name] = #name,
static const char *const names[NEXT_COUNT] = {NEXT_TABLE(NEXT_NAME)};
#undef NEXT_NAME

/* dlsym may allocate, and the program's malloc may receive (jemalloc #443). A flag of the thread's own, not a lock:
 * another thread may look up the same name at the same time, and finds the same. */
static _Thread_local volatile int looking_up;

/* What not every libc has is NULL. */
static void *look_up(void *where, const char *name)
{
    void *symbol = dlsym(where, name);
    if (symbol == NULL)
        dlerror(); /* else the program would find our failure as its own */
    return symbol;
}

void *next_find(const char *name)
{
    if (looking_up)
        return NULL;
    looking_up = 1;
    void *symbol = look_up(RTLD_NEXT, name);
    looking_up = 0;
    return symbol;
}

void *next_look_up(enum next_index index)
{
    void *symbol = next_find(names[index]);
    if (symbol != NULL)
        atomic_store_explicit(&next_symbols[index], symbol, memory_order_relaxed);
    return symbol;
}

static bool recv_is_recvfrom;

bool next_recv_is_recvfrom(void)
{
    return recv_is_recvfrom;
}

static struct next_offsets offsets;

static void find_offsets(void)
{
    /* Published for debuggers (libthread_db): the field's size in bits, its count, its offset in bytes. The sanitizers
     * read its neighbour in the same way. */
    const uint32_t *tid = look_up(RTLD_DEFAULT, "_thread_db_pthread_tid");
    if (tid != NULL && tid[0] == 32 && tid[1] == 1 && tid[2] < 16384)
        offsets.tid = (ptrdiff_t)tid[2];
    /* glibc 2.35 (rseq(2)): from the thread pointer on, which is pthread_self() where the two are the same. */
    const ptrdiff_t *rseq = look_up(RTLD_DEFAULT, "__rseq_offset");
    if (rseq != NULL && (const char *)pthread_self() == (const char *)__builtin_thread_pointer())
        offsets.cpu = *rseq + (ptrdiff_t)offsetof(struct kernel_rseq, cpu_id);
}

#define NEXT_LIBC_DEFINITION(name, result, parameters) _Atomic(next_libc_##name##_function *) next_libc_##name = name;
NEXT_LIBC_TABLE(NEXT_LIBC_DEFINITION)
#undef NEXT_LIBC_DEFINITION

/* By the name of the file, which is loaded already. */
static void find_in_libc(void)
{
    void *libc = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD), *symbol;
    if (libc == NULL)
        dlerror();
#define NEXT_LIBC_LOOK_UP(name, result, parameters)                                                                    \
    if (libc != NULL && (symbol = look_up(libc, #name)) != NULL)                                                       \
        atomic_store_explicit(&next_libc_##name, (next_libc_##name##_function *)(uintptr_t)symbol,                     \
                              memory_order_relaxed);
    NEXT_LIBC_TABLE(NEXT_LIBC_LOOK_UP)
#undef NEXT_LIBC_LOOK_UP
    if (libc != NULL)
        dlclose(libc);
    atomic_store_explicit(&clock_source, atomic_load_explicit(&next_libc_clock_gettime, memory_order_relaxed),
                          memory_order_relaxed);
}

void next_start(void)
{
    for (unsigned index = 0; index < NEXT_COUNT; index++)
        if (atomic_load_explicit(&next_symbols[index], memory_order_relaxed) == NULL)
            next_look_up((enum next_index)index);
    Dl_info recv, recvfrom;
    recv_is_recvfrom = dladdr((void *)(uintptr_t)next_recv(), &recv) != 0 &&
                       dladdr((void *)(uintptr_t)next_recvfrom(), &recvfrom) != 0 &&
                       recv.dli_fbase == recvfrom.dli_fbase;
    find_offsets();
    find_in_libc();
}

struct next_offsets next_offsets(void)
{
    return offsets;
}

ssize_t next_receive_from_kernel(const struct call *call, size_t offset, int flags)
{
    return syscall(SYS_recvfrom, call->fd, (char *)call->buffer + offset, call->length - offset, flags, call->address,
                   call->address_length);
}
