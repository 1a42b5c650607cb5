/* Runs a program as on Linux 3.10: what came later is refused, as that kernel would.
 *   old_kernel -E NAME=VALUE PROGRAM [ARGUMENT...]    with the variable in PROGRAM's environment alone, as qemu has it
 */
#include "victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define LOAD(field)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE(error)     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define NOT_THERE(call)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), REFUSE(ENOSYS)
#define LATER_THAN(first) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (first), 0, 1), REFUSE(ENOSYS)
/* A call that has no argument of this value yet; little-endian. */
#define NOT_WITH(call, argument, value)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 3), LOAD(args[argument]),                                       \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), REFUSE(EINVAL), LOAD(nr)

int main(int argc, char **argv)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        LATER_THAN(403), /* the numbers that are the same on all machines, since 5.1 */
        NOT_THERE(getrandom),
        NOT_THERE(memfd_create),
        NOT_THERE(rseq),
        NOT_THERE(statx),
        NOT_THERE(membarrier),
        NOT_THERE(execveat),
#ifdef __i386__ /* sockets had no calls of their own */
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_socket, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_shutdown, 1, 0),
        REFUSE(ENOSYS),
#endif
        NOT_WITH(madvise, 2, MADV_WIPEONFORK),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (argc < 4 || strcmp(argv[1], "-E") != 0)
        return 64;
    must(putenv(argv[2]) == 0, "putenv");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
         "seccomp");
    execv(argv[3], argv + 3);
    must(false, argv[3]);
}
