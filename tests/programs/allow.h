/* Filters of seccomp that allow a program its own system calls: those that libc makes, which on i386 are others. */
#ifndef ALLOW_H
#define ALLOW_H

#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD_NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ELSE_KILL   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

#ifdef __i386__
/* Its first argument says which call it is; little-endian. */
#define ALLOW_SOCKETS                                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketcall, 0, 7),                                                         \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),                                    \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_RECV, 4, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_RECVFROM, 3, 0),  \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_SEND, 2, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_SENDTO, 1, 0),    \
        ELSE_KILL, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ALLOW_RETURN  ALLOW(rt_sigreturn), ALLOW(sigreturn)
#define ALLOW_MAPPING ALLOW(mmap2), ALLOW(munmap), ALLOW(mprotect), ALLOW(brk), ALLOW(madvise)
#define ALLOW_FUTEX   ALLOW(futex), ALLOW(futex_time64)
#else
#define ALLOW_SOCKETS ALLOW(recvfrom), ALLOW(sendto)
#define ALLOW_RETURN  ALLOW(rt_sigreturn)
#define ALLOW_MAPPING ALLOW(mmap), ALLOW(munmap), ALLOW(mprotect), ALLOW(brk), ALLOW(madvise)
#define ALLOW_FUTEX   ALLOW(futex)
#endif

/* A system call that no library hears of; of which there is no assembler here, by libc. */
static inline long past_libc(long number, long a, long b, long c)
{
    long result;
#if defined __x86_64__
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#elif defined __i386__
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
#else
    result = syscall(number, a, b, c);
#endif
    return result;
}

#endif
