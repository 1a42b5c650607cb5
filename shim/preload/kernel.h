/* The kernel's own call, where there is no next definition. */
#ifndef KERNEL_H
#define KERNEL_H

#include <linux/net.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* KERNEL_SOCKET_CALL(accept4, ACCEPT4, fd, address, length, flags), and what follows in the same way. */
#ifdef SYS_socketcall

/* i386: calls of their own came with Linux 4.3 only, and this one stays. Its arguments are words; those that are not
 * there are read and passed on as fcntl's are. */
static inline long kernel_socketcall(int call, ...)
{
    unsigned long words[6];
    va_list arguments;
    va_start(arguments, call);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    return syscall(SYS_socketcall, call, words);
}
#define KERNEL_SOCKET_CALL(name, NAME, ...) kernel_socketcall(SYS_##NAME, __VA_ARGS__)
/* Whether libc makes the same call of recv as of recvfrom: a filter of seccomp tells these apart. */
#define KERNEL_RECV_IS_RECVFROM 0

#else
#define KERNEL_SOCKET_CALL(name, NAME, ...) syscall(SYS_##name, __VA_ARGS__)
#define KERNEL_RECV_IS_RECVFROM             1
#endif

/* The one that knows 64-bit locks. */
#ifdef SYS_fcntl64
#define KERNEL_FCNTL SYS_fcntl64
#else
#define KERNEL_FCNTL SYS_fcntl
#endif

/* With 64-bit times it is another: Linux 5.1. 64-bit machines have just one. */
#ifdef SYS_recvmmsg_time64
#define KERNEL_RECVMMSG(time64) ((time64) ? SYS_recvmmsg_time64 : SYS_recvmmsg)
#else
#define KERNEL_RECVMMSG(time64) SYS_recvmmsg
#endif

#endif
