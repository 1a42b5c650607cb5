#include "next.h"

#include "buffers.h"
#include "hot.h"
#include "kernel.h"

#include "trace/clock.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <string.h>

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
#ifdef __i386__
__asm__(".symver dladdr1, dladdr1@GLIBC_2.3.3");
__asm__(".symver dlvsym, dlvsym@GLIBC_2.1");
#endif
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

#ifdef __i386__

/* Whether an object asks libc for what came with that version. */
static bool needs(const struct link_map *object, const char *version)
{
    const char *strings = NULL;
    const Elf32_Verneed *need = NULL;
    for (const Elf32_Dyn *entry = object->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)(uintptr_t)entry->d_un.d_ptr; /* where it is: the loader has seen to it */
        else if (entry->d_tag == DT_VERNEED)
            need = (const Elf32_Verneed *)(uintptr_t)(object->l_addr + entry->d_un.d_ptr);
    }
    while (strings != NULL && need != NULL) {
        const Elf32_Vernaux *name = (const void *)((const char *)need + need->vn_aux);
        for (unsigned left = need->vn_cnt; left > 0; left--) {
            if (strcmp(strings + name->vna_name, version) == 0)
                return true;
            name = (const void *)((const char *)name + name->vna_next);
        }
        need = need->vn_next != 0 ? (const void *)((const char *)need + need->vn_next) : NULL;
    }
    return false;
}

/* Before glibc 2.28 fcntl left these locks to the kernel, whose offsets have 64 bits; since then only fcntl64 does. Our
 * one definition stands in for both of libc's. */
next_fcntl_function *next_fcntl_of(const void *caller)
{
    Dl_info info;
    void *object = NULL, *old = NULL;
    if (!looking_up && dladdr1(caller, &info, &object, RTLD_DL_LINKMAP) != 0 && !needs(object, "GLIBC_2.28"))
        old = dlvsym(RTLD_NEXT, "fcntl", "GLIBC_2.0");
    return old != NULL ? (next_fcntl_function *)(uintptr_t)old : next_fcntl();
}

#endif

static bool tells_source[RECVSHIM_CALLS];

bool next_tells_source(enum recvshim_call call)
{
    return tells_source[call];
}

static bool are_of_one_library(const void *one, const void *other)
{
    Dl_info of_one, of_other;
    return dladdr(one, &of_one) != 0 && dladdr(other, &of_other) != 0 && of_one.dli_fbase == of_other.dli_fbase;
}

#define ARE_OF_ONE_LIBRARY(one, other)                                                                                 \
    are_of_one_library((const void *)(uintptr_t)next_##one(), (const void *)(uintptr_t)next_##other())

static void compare_libraries(void)
{
    tells_source[RECVSHIM_CALL_RECV] = ARE_OF_ONE_LIBRARY(recv, recvfrom);
    tells_source[RECVSHIM_CALL_READ] = ARE_OF_ONE_LIBRARY(read, recvfrom);
    tells_source[RECVSHIM_CALL_READV] = ARE_OF_ONE_LIBRARY(readv, recvmsg);
    tells_source[RECVSHIM_CALL_RECVFROM] = tells_source[RECVSHIM_CALL_RECVMSG] = true; /* as they are */
}

static struct next_offsets offsets;

static void find_offsets(void)
{
    /* Published for debuggers (libthread_db): the field's size in bits, its count, its offset in bytes. The sanitizers
     * read its neighbour in the same way. */
    const uint32_t *tid = look_up(RTLD_DEFAULT, "_thread_db_pthread_tid");
    if (tid != NULL && tid[0] == 32 && tid[1] == 1 && tid[2] < 16384)
        offsets.tid = (ptrdiff_t)tid[2];
    const ptrdiff_t *rseq = look_up(RTLD_DEFAULT, "__rseq_offset"); /* glibc 2.35, rseq(2) */
    if (rseq != NULL)
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
    compare_libraries();
    find_offsets();
    find_in_libc();
}

struct next_offsets next_offsets(void)
{
    return offsets;
}

/* ---- the forms of a receive ---- */

static ssize_t message_next(const struct call *call, struct msghdr *message, int flags)
{
    next_recvmsg_function *next = NEXT_OF_TIME(call, __recvmsg64, recvmsg);
    return next != NULL ? next(call->fd, message, flags)
                        : KERNEL_SOCKET_CALL(recvmsg, RECVMSG, call->fd, message, flags);
}

/* read and readv have no flags: on a socket they are a recv and a recvmsg that have none. */
static ssize_t read_next(const struct call *call, size_t offset, int flags)
{
    char *buffer = (char *)call->buffer + offset;
    size_t length = call->length - offset;
    next_read_function *next = next_read();
    next_recv_function *next_with_flags = next_recv();
    if (flags == 0)
        return next != NULL ? next(call->fd, buffer, length) : syscall(SYS_read, call->fd, buffer, length);
    if (next_with_flags != NULL)
        return next_with_flags(call->fd, buffer, length, flags);
    return next_receive_from_kernel(call, offset, flags);
}

/* A part of the buffers of a readv or recvmsg goes through a vector of our own, because the program's may be read by
 * other threads, or be read-only. What is behind an offset is another part of what one receive returns, and brings
 * neither an address nor ancillary data. */
__attribute__((noinline)) static ssize_t recvmsg_part(const struct call *call, size_t offset, int flags)
{
    struct iovec pieces[BUFFERS_PIECES];
    int count;
    buffers_part(call, offset, pieces, &count);
    struct msghdr part = {0};
    if (offset == 0)
        part = *call->message;
    part.msg_iov = pieces;
    part.msg_iovlen = (size_t)count;
    ssize_t result = message_next(call, &part, flags);
    if (offset == 0 && result >= 0) {
        call->message->msg_namelen = part.msg_namelen;
        call->message->msg_controllen = part.msg_controllen;
        call->message->msg_flags = part.msg_flags;
    }
    return result;
}

/* As a whole in all its buffers, however many: what is left over of a datagram would be lost. */
__attribute__((noinline)) static ssize_t readv_next(const struct call *call, size_t offset, int flags)
{
    struct iovec part[BUFFERS_PIECES];
    const struct iovec *pieces = call->vector;
    int count = call->pieces;
    if (offset != 0 || call->length != CALL_WHOLE) {
        buffers_part(call, offset, part, &count);
        pieces = part;
    }
    if (flags != 0) {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
        return message_next(call, &message, flags);
    }
    next_readv_function *next = next_readv();
    return next != NULL ? next(call->fd, pieces, count) : syscall(SYS_readv, call->fd, pieces, count);
}

static ssize_t messages_next(const struct call *call, int flags, union messages_timeout *timeout)
{
    const struct messages *messages = call->messages;
    next_recvmmsg_function *next = NEXT_OF_TIME(call, __recvmmsg64, recvmmsg);
    if (next != NULL)
        return next(call->fd, messages->each, messages->count, flags, timeout);
    return syscall(KERNEL_RECVMMSG(call_has_time64(call)), call->fd, messages->each, messages->count, flags, timeout);
}

void next_time_left(const struct call *call, union messages_timeout *timeout)
{
    const uint64_t now = clock_now(), until = call->messages->until, left = now < until ? until - now : 0;
    messages_timeout_write(timeout, call_has_time64(call), (int64_t)(left / NANOSECONDS_A_SECOND),
                           (int64_t)(left % NANOSECONDS_A_SECOND));
}

/* The kernel writes what is left of the timeout where a message came. */
static ssize_t recvmmsg_next(const struct call *call, int flags)
{
    const struct messages *messages = call->messages;
    union messages_timeout rest;
    int64_t seconds, nanoseconds;
    if (messages->until == 0)
        return messages_next(call, flags, messages->timeout);
    next_time_left(call, &rest);
    ssize_t result = messages_next(call, flags, &rest);
    if (result > 0) {
        messages_timeout_read(&rest, call_has_time64(call), &seconds, &nanoseconds);
        messages_timeout_write(messages->timeout, call_has_time64(call), seconds, nanoseconds);
    }
    return result;
}

ssize_t next_receive_as(const struct call *call, size_t offset, int flags)
{
    switch (call->form) {
    case RECVSHIM_CALL_READ:
        return read_next(call, offset, flags);
    case RECVSHIM_CALL_READV:
        return readv_next(call, offset, flags);
    case RECVSHIM_CALL_RECVMSG:
        if (call->length == CALL_WHOLE && offset == 0)
            return message_next(call, call->message, flags);
        return recvmsg_part(call, offset, flags);
    default:
        return recvmmsg_next(call, flags);
    }
}

ssize_t next_receive_from_kernel(const struct call *call, size_t offset, int flags)
{
    if (call->form == RECVSHIM_CALL_RECVMSG)
        return KERNEL_SOCKET_CALL(recvmsg, RECVMSG, call->fd, call->message, flags);
    return KERNEL_SOCKET_CALL(recvfrom, RECVFROM, call->fd, (char *)call->buffer + offset, call->length - offset, flags,
                              call->address, call->address_length);
}
