/* Another preload: marks where a program's own system calls begin, behind every library's constructor, by one that no
 * program makes. With CONFINED_TO=N,... it then installs a filter that kills for every call but those numbers, and for
 * every call of another machine: by prctl, which other preloads may see, or with CONFINED_SILENTLY=1 past libc. N:M
 * is a call whose first argument is M: what i386 does by socketcall. */
#include "allow.h"

#include <dlfcn.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __i386__
#define MACHINE AUDIT_ARCH_I386
#else
#define MACHINE AUDIT_ARCH_AARCH64
#endif
#define LOAD(member)          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(value, beyond) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, beyond)
#define ALLOWED               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

enum { MOST = 800 };

static struct sock_filter filter[MOST];
static unsigned short length;

static void put(const struct sock_filter *part, size_t size)
{
    if (length + size / sizeof *part > MOST)
        _exit(70);
    memcpy(filter + length, part, size);
    length = (unsigned short)(length + size / sizeof *part);
}

static void write_filter(const char *numbers)
{
    const struct sock_filter beginning[] = {LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0), ELSE_KILL,
                                            LOAD(nr)};
    put(beginning, sizeof beginning);
    while (*numbers != '\0') {
        char *end;
        unsigned int number = (unsigned int)strtoul(numbers, &end, 10);
        if (*end == ':') {
            unsigned int argument = (unsigned int)strtoul(end + 1, &end, 10);
            const struct sock_filter part[] = {UNLESS(number, 4), LOAD(args[0]), UNLESS(argument, 1), ALLOWED,
                                               LOAD(nr)};
            put(part, sizeof part);
        } else {
            const struct sock_filter part[] = {UNLESS(number, 1), ALLOWED};
            put(part, sizeof part);
        }
        numbers = end + (*end == ',');
    }
    const struct sock_filter ending[] = {ELSE_KILL};
    put(ending, sizeof ending);
}

static void confine(const char *numbers)
{
    write_filter(numbers);
    struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(70);
    long result = getenv("CONFINED_SILENTLY") != NULL
                      ? past_libc(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)(intptr_t)&program)
                      : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    if (result != 0)
        _exit(70);
}

typedef int main_function(int, char **, char **);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

/* Called by each program's _start, once the loader has run all constructors but the program's own. */
int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_function *next;
    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    const char *numbers = getenv("CONFINED_TO");
    void *volatile heap = malloc(1); /* libc makes its heap ready: a constructor may have had it do so, or not */
    free(heap);
    (void)!write(-1, "main", 4);
    if (numbers != NULL)
        confine(numbers);
    return next(main, argc, argv, init, fini, rtld_fini, stack_end);
}
