#include "next.h"

#include "buffers.h"
#include "hot.h"

#include "trace/clock.h"

#include <dlfcn.h>
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

void *next_look_up(enum next_index index)
{
    if (looking_up)
        return NULL;
    looking_up = 1;
    void *symbol = look_up(RTLD_NEXT, names[index]);
    looking_up = 0;
    atomic_store_explicit(&next_symbols[index], symbol, memory_order_relaxed);
    return symbol;
}

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
    /* glibc 2.35 (rseq(2)): from the thread pointer on, which is pthread_self() where the two are the same. */
    const ptrdiff_t *rseq = look_up(RTLD_DEFAULT, "__rseq_offset");
    if (rseq != NULL && (const char *)pthread_self() == (const char *)__builtin_thread_pointer())
        offsets.cpu = *rseq + (ptrdiff_t)offsetof(struct kernel_rseq, cpu_id);
}

void next_start(void)
{
    for (unsigned index = 0; index < NEXT_COUNT; index++)
        if (atomic_load_explicit(&next_symbols[index], memory_order_relaxed) == NULL)
            next_look_up((enum next_index)index);
    compare_libraries();
    find_offsets();
}

struct next_offsets next_offsets(void)
{
    return offsets;
}

/* ---- the forms of a receive ---- */

static ssize_t message_next(int fd, struct msghdr *message, int flags)
{
    next_recvmsg_function *next = next_recvmsg();
    return next != NULL ? next(fd, message, flags) : syscall(SYS_recvmsg, fd, message, flags);
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
    ssize_t result = message_next(call->fd, &part, flags);
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
        return message_next(call->fd, &message, flags);
    }
    next_readv_function *next = next_readv();
    return next != NULL ? next(call->fd, pieces, count) : syscall(SYS_readv, call->fd, pieces, count);
}

static ssize_t messages_next(const struct call *call, int flags, struct timespec *timeout)
{
    const struct messages *messages = call->messages;
    next_recvmmsg_function *next = next_recvmmsg();
    return next != NULL ? next(call->fd, messages->each, messages->count, flags, timeout)
                        : syscall(SYS_recvmmsg, call->fd, messages->each, messages->count, flags, timeout);
}

struct timespec next_time_left(const struct messages *messages)
{
    uint64_t now = clock_now(), left = now < messages->until ? messages->until - now : 0;
    return (struct timespec){.tv_sec = (time_t)(left / NANOSECONDS_A_SECOND),
                             .tv_nsec = (long)(left % NANOSECONDS_A_SECOND)};
}

/* The kernel writes what is left of the timeout where a message came. */
static ssize_t recvmmsg_next(const struct call *call, int flags)
{
    const struct messages *messages = call->messages;
    if (messages->until == 0)
        return messages_next(call, flags, messages->timeout);
    struct timespec rest = next_time_left(messages);
    ssize_t result = messages_next(call, flags, &rest);
    if (result > 0)
        *messages->timeout = rest;
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
        return recvmsg_part(call, offset, flags);
    default:
        return recvmmsg_next(call, flags);
    }
}

ssize_t next_receive_from_kernel(const struct call *call, size_t offset, int flags)
{
    if (call->form == RECVSHIM_CALL_RECVMSG)
        return syscall(SYS_recvmsg, call->fd, call->message, flags);
    return syscall(SYS_recvfrom, call->fd, (char *)call->buffer + offset, call->length - offset, flags, call->address,
                   call->address_length);
}
