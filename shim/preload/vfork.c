#include "vfork.h"

#include "next.h"
#include "process.h"
#include "query.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

_Thread_local struct vfork_nesting vfork_nesting __attribute__((used));

/* A process that such a child forks has memory of its own again, and so has the child itself where vfork is only a fork
 * (valgrind, qemu, TSan). And signals that came while the child ran are handled as soon as its parent goes on, before
 * vfork returns there; a handler may never let it return. The two differ in nothing but what the kernel says. */
bool vfork_confirmed(void)
{
    struct process_self parent;
    if (process_has_vforked()) {
        process_known(&parent);
        if (parent.pid == 0 || !query_allowed() || (uint32_t)syscall(SYS_getpid) != parent.pid)
            return true;
    }
    vfork_nesting.depth = 0;
    return false;
}

void vfork_begins(void)
{
    if (process_has_vforked())
        return;
    bool filtered = vfork_nesting.depth != 0 && vfork_nesting.filtered;
    /* What a child of vfork left here that forked this process. */
    vfork_nesting.frames_used = 0;
    vfork_nesting.depth = 0;
    if (filtered)
        query_filter_announced();
    process_vforks();
}

#ifdef VFORK_SEEN

_Static_assert(offsetof(struct vfork_nesting, frames_used) == 8 && offsetof(struct vfork_nesting, frames) == 16 &&
                   sizeof vfork_nesting.frames[0] == 32,
               "as the assembler has it");
_Static_assert(VFORK_FRAMES == 8, "as the assembler has it");

/* Called by the assembler: where to go on. Inside dlsym there is no next definition yet; fork does for vfork. */
void *vfork_next(void);
__attribute__((used)) void *vfork_next(void)
{
    vfork_begins();
    next_vfork_function *next = next_vfork();
    return next != NULL ? (void *)(uintptr_t)next : (void *)(uintptr_t)fork;
}

/* The caller's return address is taken off the stack before the next definition is entered, and kept in thread-local
 * storage, in a frame whose place there %rbx holds meanwhile: the parent finds its registers as they were, its stack
 * not. A frame is taken before anything is written to it, and given back after all has been read: a handler may vfork
 * at any point. Both then store the depth, the child one more than its parent; the parent does so after the child has
 * gone, whatever that one left there. What runs before that is told apart by vfork_confirmed().
 *
 * %rax: the next definition, then its result. %rcx: vfork_nesting from the thread pointer on. %rbx: its frame. */
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
        "    movq %fs:8(%rcx), %rdx\n"
        "    cmpq $8, %rdx\n"
        "    jae 2f\n"
        "    incq %fs:8(%rcx)\n"
        "    shlq $5, %rdx\n"
        "    popq %rsi\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_undefined %rip\n"
        "    movq %rsi, %fs:16(%rcx,%rdx)\n"
        "    movq %rbx, %fs:24(%rcx,%rdx)\n"
        "    movq %fs:(%rcx), %rsi\n"
        "    movq %rsi, %fs:32(%rcx,%rdx)\n"
        "    leaq (%rcx,%rdx), %rbx\n"
        "    call *%rax\n"
        "    movq vfork_nesting@gottpoff(%rip), %rcx\n"
        "    movq %fs:32(%rbx), %rsi\n"
        "    pushq %fs:16(%rbx)\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    testl %eax, %eax\n"
        "    je 1f\n"
        "    movq %rsi, %fs:(%rcx)\n" /* the parent */
        "    movq %rbx, %rdx\n"
        "    movq %fs:24(%rbx), %rbx\n"
        "    subq %rcx, %rdx\n"
        "    shrq $5, %rdx\n"
        "    movq %rdx, %fs:8(%rcx)\n"
        "    ret\n"
        "1:  incq %rsi\n" /* the child, which leaves the frame to its parent */
        "    movq %rsi, %fs:(%rcx)\n"
        "    movq %fs:24(%rbx), %rbx\n"
        "    ret\n"
        "2:  movq $1, %fs:(%rcx)\n" /* handlers have left with all frames: whose child it is shows later */
        "    jmp *%rax\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");

#endif
