#include "vfork.h"

#include "next.h"

#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

_Thread_local struct vfork_nesting vfork_nesting __attribute__((used));

#ifdef VFORK_SEEN

_Static_assert(offsetof(struct vfork_nesting, frames) == 8 && sizeof vfork_nesting.frames[0] == 16,
               "as the assembler has it");
_Static_assert(VFORK_DEPTH == 4, "as the assembler has it");

/* Called by the assembler: where to go on. Inside dlsym there is no next definition yet; fork does for vfork. */
void *vfork_next(void);
__attribute__((used)) void *vfork_next(void)
{
    next_vfork_function *next = next_vfork();
    return next != NULL ? (void *)(uintptr_t)next : (void *)(uintptr_t)fork;
}

/* The caller's return address is taken off the stack before the next definition is entered, and kept in thread-local
 * storage, as is %rbx, which holds the depth meanwhile: the parent finds its registers as they were, its stack not.
 * Both then store the depth, the child one more than its parent; the parent does so after the child has gone, whatever
 * that one left there.
 *
 * %rax: the next definition, then its result. %rcx: vfork_nesting from the thread pointer on. %rdx: the depth. */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call vfork_next\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    movq vfork_nesting@gottpoff(%rip), %rcx\n"
        "    movq %fs:(%rcx), %rdx\n"
        "    cmpq $4, %rdx\n"
        "    jae 1f\n"
        "    shlq $4, %rdx\n"
        "    popq %rsi\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_undefined %rip\n"
        "    movq %rsi, %fs:8(%rcx,%rdx)\n"
        "    movq %rbx, %fs:16(%rcx,%rdx)\n"
        "    shrq $4, %rdx\n"
        "    movq %rdx, %rbx\n"
        "    call *%rax\n"
        "    movq vfork_nesting@gottpoff(%rip), %rcx\n"
        "    leaq 1(%rbx), %rsi\n"
        "    testl %eax, %eax\n"
        "    cmovneq %rbx, %rsi\n"
        "    movq %rsi, %fs:(%rcx)\n"
        "    movq %rbx, %rdx\n"
        "    shlq $4, %rdx\n"
        "    movq %fs:16(%rcx,%rdx), %rbx\n"
        "    pushq %fs:8(%rcx,%rdx)\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    ret\n"
        "1:  jmp *%rax\n" /* deeper than any program goes */
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");

#endif
