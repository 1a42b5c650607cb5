/* A lower layer in which a signal arrives in the midst of the first vfork, before there is a child. */
#include "victim.h"

#include <dlfcn.h>

void *lower_vfork(void);
__attribute__((used)) void *lower_vfork(void)
{
    static bool sent;
    void *next = dlsym(RTLD_NEXT, "vfork");
    if (!sent) {
        sent = true;
        raise(SIGUSR1);
    }
    return next;
}

#if defined __x86_64__
/* It returns twice: no frame of ours may be in the way. */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    subq $8, %rsp\n"
        "    call lower_vfork@PLT\n"
        "    addq $8, %rsp\n"
        "    jmp *%rax\n"
        ".size vfork, . - vfork\n");
#endif
