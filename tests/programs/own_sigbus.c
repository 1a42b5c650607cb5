/* A fault of the program's own, on a file that shrank. kind=handled: it has a handler; default: it has none, and must
 * die of it; sent: there is no fault, somebody sends SIGBUS. */
#include "victim.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

static sigjmp_buf back;

static void on_sigbus(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *kind = option(argv, "kind", "default");
    int fds[2], file = memfd_create("shrinks", 0);
    must(file >= 0 && ftruncate(file, 4096) == 0, "memfd");
    volatile char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(map != MAP_FAILED && ftruncate(file, 0) == 0, "mmap");
    pair(SOCK_STREAM, fds);
    say("before", exchange(fds, 3));
    if (strcmp(kind, "sent") == 0)
        raise(SIGBUS);
    if (strcmp(kind, "handled") == 0)
        handle(SIGBUS, on_sigbus, 0);
    if (sigsetjmp(back, 1) == 0) {
        *map = 1;
        say("survived", 1);
    } else {
        say("caught", 1);
    }
    say("after", exchange(fds, 3));
    return 0;
}
