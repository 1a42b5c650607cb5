/* Receives past the program's own calls of libc, 7 of them between 10 that it makes itself: `local`, `deep` and
 * `namespace` by a module that is loaded as usual, with RTLD_DEEPBIND, or into a namespace with a libc of its own;
 * `raw` by system calls; `stdio` by libc. `module=` is the path. */
#include "victim.h"

#include <dlfcn.h>

static long by_module(void *module, const int fds[2])
{
    must(module != NULL, "dlopen");
    long (*run)(const int[2], long) = (long (*)(const int[2], long))(uintptr_t)dlsym(module, "module_exchange");
    must(run != NULL, "dlsym");
    return run(fds, 7);
}

static long by_system_call(const int fds[2])
{
    long arrived = 0;
    char byte = 'x';
    for (int i = 0; i < 7; i++) {
        must(send(fds[1], &byte, 1, 0) == 1, "send");
        arrived += syscall(SYS_recvfrom, fds[0], &byte, 1, 0, NULL, NULL);
    }
    return arrived;
}

static long by_stdio(const int fds[2])
{
    long arrived = 0;
    FILE *stream = fdopen(fds[0], "r");
    must(stream != NULL, "fdopen");
    setvbuf(stream, NULL, _IONBF, 0);
    for (int i = 0; i < 7; i++) {
        must(send(fds[1], "x", 1, 0) == 1, "send");
        arrived += fgetc(stream) == 'x';
    }
    return arrived;
}

static long receive_by(const char *way, const char *module, const int fds[2])
{
    if (strcmp(way, "local") == 0)
        return by_module(dlopen(module, RTLD_NOW | RTLD_LOCAL), fds);
    if (strcmp(way, "deep") == 0)
        return by_module(dlopen(module, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND), fds);
    if (strcmp(way, "namespace") == 0)
        return by_module(dlmopen(LM_ID_NEWLM, module, RTLD_NOW | RTLD_LOCAL), fds);
    return strcmp(way, "raw") == 0 ? by_system_call(fds) : by_stdio(fds);
}

int main(int argc, char **argv)
{
    int fds[2], own[2];
    must(argc > 1, "a way");
    pair(SOCK_STREAM, fds);
    pair(SOCK_STREAM, own);
    long by_program = exchange(own, 5);
    say("past", receive_by(argv[1], option(argv, "module", NULL), fds));
    say("by_program", by_program + exchange(own, 5));
    say("own_fd", own[0]);
    say("past_fd", fds[0]);
    return 0;
}
