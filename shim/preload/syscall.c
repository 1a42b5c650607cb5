/* syscall(2), in assembler. A definition in C would have to pass the last argument on where it lies, on its caller's
 * stack, and GCC stores it there anew: with fewer arguments that is a variable of the caller's, which another thread or
 * a handler may have changed meanwhile. */
#include "lifecycle.h"
#include "next.h"
#include "query.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined __x86_64__ && defined __LP64__

/* Called by the assembler: where to go on; NULL inside dlsym. */
void *syscall_next(long number, long operation);
__attribute__((used)) void *syscall_next(long number, long operation)
{
    /* As the kernel takes it: what is above may be left over from anything. */
    unsigned int mode = (unsigned int)operation;
    if ((number == SYS_seccomp && (mode == SECCOMP_SET_MODE_STRICT || mode == SECCOMP_SET_MODE_FILTER)) ||
        (number == SYS_prctl && mode == PR_SET_SECCOMP))
        query_filter_announced();
    else if (number == SYS_close)
        lifecycle_closing((int)operation);
    return (void *)(uintptr_t)next_syscall();
}

long syscall_failed(int error);
__attribute__((used)) long syscall_failed(int error)
{
    errno = error;
    return -1;
}

/* The arguments are kept, and libc's own definition finds all as it was. Inside dlsym the kernel is entered here. */
__asm__(".text\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rdi\n"
        "    pushq %rsi\n"
        "    pushq %rdx\n"
        "    pushq %rcx\n"
        "    pushq %r8\n"
        "    pushq %r9\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 56\n"
        "    call syscall_next\n"
        "    addq $8, %rsp\n"
        "    popq %r9\n"
        "    popq %r8\n"
        "    popq %rcx\n"
        "    popq %rdx\n"
        "    popq %rsi\n"
        "    popq %rdi\n"
        "    .cfi_adjust_cfa_offset -56\n"
        "    testq %rax, %rax\n"
        "    je 1f\n"
        "    jmp *%rax\n"
        "1:  movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    movq %rdx, %rsi\n"
        "    movq %rcx, %rdx\n"
        "    movq %r8, %r10\n"
        "    movq %r9, %r8\n"
        "    movq 8(%rsp), %r9\n"
        "    syscall\n"
        "    cmpq $-4095, %rax\n"
        "    jae 2f\n"
        "    ret\n"
        "2:  negl %eax\n"
        "    movl %eax, %edi\n"
        "    jmp syscall_failed\n"
        "    .cfi_endproc\n"
        ".size syscall, . - syscall\n");

#else
typedef int nothing_here;
#endif
