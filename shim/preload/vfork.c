#include "vfork.h"

#include "next.h"
#include "process.h"
#include "query.h"

#include <stdatomic.h>
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
    thread_self.vfork_depth = 0;
    return false;
}

void vfork_begins(void)
{
    if (process_has_vforked())
        return;
    bool filtered = thread_self.vfork_depth != 0 && vfork_nesting.filtered;
    /* What a child of vfork left here that forked this process. */
    vfork_nesting.frames_used = 0;
    thread_self.vfork_depth = 0;
    if (filtered)
        query_filter_announced();
    process_vforks();
}

/* vfork returns twice on one stack, so what calls the next definition can only be assembler. The caller's return
 * address is taken off the stack before that, and kept in a frame in thread-local storage, whose place a register holds
 * meanwhile that the caller wants back: the parent finds its registers as they were, its stack not. The order of what
 * these functions store matters to handlers, which may vfork at any point. */
#define IN_THIS_ORDER() atomic_signal_fence(memory_order_seq_cst)

static void *next_definition(void)
{
    next_vfork_function *next = next_vfork();
    /* Inside dlsym there is no next definition yet; fork does for vfork. */
    return next != NULL ? (void *)(uintptr_t)next : (void *)(uintptr_t)fork;
}

/* Called by the assembler, first. Returns NULL where handlers have left with all frames. */
struct vfork_frame *vfork_enter(uintptr_t return_address, uintptr_t saved_register);
__attribute__((used)) struct vfork_frame *vfork_enter(uintptr_t return_address, uintptr_t saved_register)
{
    vfork_begins();
    void *next = next_definition();
    struct vfork_nesting *nesting = &vfork_nesting;
    uint64_t used = nesting->frames_used;
    if (used >= VFORK_FRAMES)
        return NULL;
    nesting->frames_used = used + 1; /* before anything is written to it */
    IN_THIS_ORDER();
    struct vfork_frame *frame = &nesting->frames[used];
    *frame = (struct vfork_frame){next, return_address, saved_register, thread_self.vfork_depth};
    return frame;
}

/* Then: where to go on without a frame. Whose child it is shows later. */
void *vfork_without_frame(void);
__attribute__((used)) void *vfork_without_frame(void)
{
    thread_self.vfork_depth = 1;
    return next_definition();
}

/* Or: the next definition has returned this. Both store the depth, the child one more than its parent; the parent does
 * so after the child has gone, whatever that one left there. What runs before that is told apart by vfork_confirmed().
 * The child leaves the frame to its parent, which gives it back after all has been read. */
pid_t vfork_returned(const struct vfork_frame *frame, pid_t result);
__attribute__((used)) pid_t vfork_returned(const struct vfork_frame *frame, pid_t result)
{
    struct vfork_nesting *nesting = &vfork_nesting;
    if (result == 0) {
        thread_self.vfork_depth = frame->depth + 1;
    } else {
        thread_self.vfork_depth = frame->depth;
        IN_THIS_ORDER();
        nesting->frames_used = (uint64_t)(frame - nesting->frames);
    }
    return result;
}

_Static_assert(offsetof(struct vfork_frame, next) == 0 &&
                   offsetof(struct vfork_frame, return_address) == sizeof(void *) &&
                   offsetof(struct vfork_frame, saved_register) == 2 * sizeof(void *),
               "as the assembler has it");

#if defined __x86_64__ && defined __LP64__

__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    movq (%rsp), %rdi\n"
        "    movq %rbx, %rsi\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call vfork_enter\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    testq %rax, %rax\n"
        "    je 1f\n"
        "    movq %rax, %rbx\n"
        "    addq $8, %rsp\n" /* from here on without the return address */
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_undefined %rip\n"
        "    call *(%rbx)\n"
        "    pushq 8(%rbx)\n"
        "    pushq 16(%rbx)\n"
        "    .cfi_adjust_cfa_offset 16\n"
        "    movq %rbx, %rdi\n"
        "    movl %eax, %esi\n"
        "    call vfork_returned\n"
        "    popq %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    ret\n"
        "1:  subq $8, %rsp\n"
        "    call vfork_without_frame\n"
        "    addq $8, %rsp\n"
        "    jmp *%rax\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");

#elif defined __i386__

__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    endbr32\n"
        "    subl $4, %esp\n"
        "    pushl %ebx\n"
        "    pushl 8(%esp)\n"
        "    .cfi_adjust_cfa_offset 12\n"
        "    call vfork_enter\n"
        "    addl $12, %esp\n"
        "    .cfi_adjust_cfa_offset -12\n"
        "    testl %eax, %eax\n"
        "    je 1f\n"
        "    movl %eax, %ebx\n"
        "    addl $4, %esp\n" /* from here on without the return address */
        "    .cfi_adjust_cfa_offset -4\n"
        "    .cfi_undefined %eip\n"
        "    call *(%ebx)\n"
        "    pushl 4(%ebx)\n"
        "    pushl 8(%ebx)\n"
        "    pushl %eax\n"
        "    pushl %ebx\n"
        "    .cfi_adjust_cfa_offset 16\n"
        "    call vfork_returned\n"
        "    addl $8, %esp\n"
        "    popl %ebx\n"
        "    .cfi_adjust_cfa_offset -12\n"
        "    ret\n"
        "1:  subl $12, %esp\n"
        "    call vfork_without_frame\n"
        "    addl $12, %esp\n"
        "    jmp *%eax\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");

#elif defined __aarch64__

/* Here the return address is in a register; the frame keeps it all the same. */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, %function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    stp x29, x30, [sp, #-16]!\n"
        "    .cfi_adjust_cfa_offset 16\n"
        "    mov x0, x30\n"
        "    mov x1, x19\n"
        "    bl vfork_enter\n"
        "    ldp x29, x30, [sp], #16\n"
        "    .cfi_adjust_cfa_offset -16\n"
        "    cbz x0, 1f\n"
        "    mov x19, x0\n"
        "    .cfi_undefined x30\n"
        "    ldr x16, [x19]\n"
        "    blr x16\n"
        "    ldp x2, x3, [x19, #8]\n"
        "    stp x2, x3, [sp, #-16]!\n"
        "    .cfi_adjust_cfa_offset 16\n"
        "    mov w1, w0\n"
        "    mov x0, x19\n"
        "    bl vfork_returned\n"
        "    ldp x30, x19, [sp], #16\n"
        "    .cfi_adjust_cfa_offset -16\n"
        "    ret\n"
        "1:  stp x29, x30, [sp, #-16]!\n"
        "    bl vfork_without_frame\n"
        "    ldp x29, x30, [sp], #16\n"
        "    mov x16, x0\n"
        "    br x16\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");

#else
#error "vfork.c and syscall.c are written in the assembler of x86-64, i386 and arm64: add this machine's"
#endif
