/* Another preload: marks where a program's own system calls begin, behind every library's constructor, by one that no
 * program makes. With CONFINED_TO=N,... it then installs a filter that kills for every call but those numbers:
 * by prctl, which other preloads may see, or with CONFINED_SILENTLY=1 past libc. */
#include "allow.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MOST = 400 };

static struct sock_filter filter[2 * MOST + 2];

static unsigned short write_filter(const char *numbers)
{
    unsigned short length = 0;
    filter[length++] = (struct sock_filter)LOAD_NUMBER;
    while (*numbers != '\0' && length < 2 * MOST) {
        char *end;
        unsigned int number = (unsigned int)strtoul(numbers, &end, 10);
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        numbers = end + (*end == ',');
    }
    filter[length++] = (struct sock_filter)ELSE_KILL;
    return length;
}

static void confine(const char *numbers)
{
    struct sock_fprog program = {write_filter(numbers), filter};
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
