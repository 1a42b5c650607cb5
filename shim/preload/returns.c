#include "returns.h"

#include "hot.h"

#include "trace/identity.h"

#include <stdbool.h>
#include <string.h>

/* Whether such functions return by a jump. The assembler below reads it, too. */
HOT __attribute__((used)) bool returns_by_jump;

void returns_start(void)
{
    char line[128];
    identity_read_line("/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow", line, sizeof line);
    returns_by_jump = strstr(line, "Safe RET") != NULL;
}

/* What GCC lets such a function end with: the name is GCC's. %rcx is neither the caller's nor part of a result. */
#ifdef __x86_64__
__asm__(".pushsection .text\n"
        ".globl __x86_return_thunk\n"
        ".hidden __x86_return_thunk\n"
        ".type __x86_return_thunk, @function\n"
        ".balign 32\n"
        "__x86_return_thunk:\n"
        ".cfi_startproc\n"
        "    cmpb $0, returns_by_jump(%rip)\n"
        "    je 1f\n"
        "    .cfi_remember_state\n"
        "    pop %rcx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_register %rip, %rcx\n"
        "    jmp *%rcx\n"
        "    .cfi_restore_state\n"
        "1:  ret\n"
        ".cfi_endproc\n"
        ".size __x86_return_thunk, . - __x86_return_thunk\n"
        ".popsection");
#endif
