/* syscall(2), in assembler. A definition in C would have to pass those arguments on that lie on its caller's stack (on
 * x86-64 the last, on i386 all), and GCC stores them there anew: where there are fewer, that is a variable of the
 * caller's, which another thread or a handler may have changed meanwhile. */
#include "lifecycle.h"
#include "next.h"
#include "query.h"

#include <errno.h>
#include <sys/syscall.h>

/* Called by the assembler: where to go on; NULL inside dlsym. */
void *syscall_next(long number, long first, long second, long third);
__attribute__((used)) void *syscall_next(long number, long first, long second, long third)
{
    if (number == SYS_close)
        lifecycle_closing((int)first);
    else
        query_system_call(number, first, second, third);
    return (void *)(uintptr_t)next_syscall();
}

long syscall_failed(int error);
__attribute__((used)) long syscall_failed(int error)
{
    errno = error;
    return -1;
}

#if defined __x86_64__ && defined __LP64__

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

#elif defined __i386__

__asm__(".text\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        "    .cfi_startproc\n"
        "    endbr32\n"
        "    subl $12, %esp\n"
        "    pushl 28(%esp)\n"
        "    pushl 28(%esp)\n"
        "    pushl 28(%esp)\n"
        "    pushl 28(%esp)\n"
        "    .cfi_adjust_cfa_offset 28\n"
        "    call syscall_next\n"
        "    addl $28, %esp\n"
        "    .cfi_adjust_cfa_offset -28\n"
        "    testl %eax, %eax\n"
        "    je 1f\n"
        "    jmp *%eax\n"
        "1:  pushl %ebx\n"
        "    pushl %esi\n"
        "    pushl %edi\n"
        "    pushl %ebp\n"
        "    .cfi_adjust_cfa_offset 16\n"
        "    movl 20(%esp), %eax\n"
        "    movl 24(%esp), %ebx\n"
        "    movl 28(%esp), %ecx\n"
        "    movl 32(%esp), %edx\n"
        "    movl 36(%esp), %esi\n"
        "    movl 40(%esp), %edi\n"
        "    movl 44(%esp), %ebp\n"
        "    int $0x80\n"
        "    popl %ebp\n"
        "    popl %edi\n"
        "    popl %esi\n"
        "    popl %ebx\n"
        "    .cfi_adjust_cfa_offset -16\n"
        "    cmpl $-4095, %eax\n"
        "    jae 2f\n"
        "    ret\n"
        "2:  negl %eax\n"
        "    movl %eax, 4(%esp)\n" /* the number's place, which is the callee's to use */
        "    jmp syscall_failed\n"
        "    .cfi_endproc\n"
        ".size syscall, . - syscall\n");

#elif defined __aarch64__

__asm__(".text\n"
        ".globl syscall\n"
        ".type syscall, %function\n"
        "syscall:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    stp x29, x30, [sp, #-80]!\n"
        "    .cfi_adjust_cfa_offset 80\n"
        "    .cfi_rel_offset x30, 8\n"
        "    stp x0, x1, [sp, #16]\n"
        "    stp x2, x3, [sp, #32]\n"
        "    stp x4, x5, [sp, #48]\n"
        "    str x6, [sp, #64]\n"
        "    bl syscall_next\n"
        "    mov x16, x0\n"
        "    ldp x0, x1, [sp, #16]\n"
        "    ldp x2, x3, [sp, #32]\n"
        "    ldp x4, x5, [sp, #48]\n"
        "    ldr x6, [sp, #64]\n"
        "    ldp x29, x30, [sp], #80\n"
        "    .cfi_adjust_cfa_offset -80\n"
        "    .cfi_restore x30\n"
        "    cbz x16, 1f\n"
        "    br x16\n"
        "1:  mov x8, x0\n"
        "    mov x0, x1\n"
        "    mov x1, x2\n"
        "    mov x2, x3\n"
        "    mov x3, x4\n"
        "    mov x4, x5\n"
        "    mov x5, x6\n"
        "    svc #0\n"
        "    cmn x0, #4095\n"
        "    b.cs 2f\n"
        "    ret\n"
        "2:  neg w0, w0\n"
        "    b syscall_failed\n"
        "    .cfi_endproc\n"
        ".size syscall, . - syscall\n");

#endif
