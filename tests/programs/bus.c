/* Threads receive while the trace (trace=PATH) is cut down to `size` bytes, and go on; half of it they do afterwards.
 * What the program does with SIGBUS:
 *
 *   sigbus=default   nothing
 *   sigbus=handled   it has a handler, by which it mends maps of its own that shrank, all the while and in the end
 *   sigbus=once      the handler has SA_RESETHAND, and there is one such fault, in the end
 *   sigbus=ignored, blocked
 *
 * Says what each thread received, and how many faults of its own its handler did not see. */
#include "victim.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { THREADS_MAX = 8, PAGE = 4096 };

static struct worker {
    pthread_t thread;
    int fds[2];
    long received;
    _Atomic long done;
} workers[THREADS_MAX];
static long each;
static _Atomic bool cut;

/* Of the main thread's own: a file without a byte. */
static char *own;
static _Atomic long seen;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    int error = errno;
    seen++;
    if ((uintptr_t)info->si_addr - (uintptr_t)own >= PAGE)
        _exit(99); /* as programs do with a fault that is none of theirs */
    mmap(own, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = error;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    for (long i = 0; i < each; i++) {
        self->received += exchange(self->fds, 1);
        self->done++;
        while (i == each / 2 && !cut)
            sched_yield();
    }
    return NULL;
}

static long all_done(long threads)
{
    long done = 0;
    for (long i = 0; i < threads; i++)
        done += workers[i].done;
    return done;
}

static void fault_once(int empty)
{
    own = mmap(own, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | (own != NULL ? MAP_FIXED : 0), empty, 0);
    must(own != MAP_FAILED, "mmap");
    *(volatile char *)own = 1;
}

static void install_handler(int flags)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | flags}, now;
    must(sigaction(SIGBUS, &action, NULL) == 0 && sigaction(SIGBUS, NULL, &now) == 0, "sigaction");
    must(now.sa_sigaction == on_sigbus && (now.sa_flags & (SA_SIGINFO | flags)) == (SA_SIGINFO | flags), "read back");
}

static void block(void)
{
    sigset_t bus;
    sigemptyset(&bus);
    sigaddset(&bus, SIGBUS);
    pthread_sigmask(SIG_BLOCK, &bus, NULL);
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *what = option(argv, "sigbus", "default"), *trace = option(argv, "trace", "");
    bool handled = strcmp(what, "handled") == 0, once = strcmp(what, "once") == 0;
    long threads = number(argv, "threads", 4), faults = 0;
    each = number(argv, "each", 5000);
    must(threads <= THREADS_MAX, "at most 8 threads");
    int empty = memfd_create("empty", 0);
    if (handled || once)
        install_handler(once ? (int)SA_RESETHAND : 0);
    else if (strcmp(what, "ignored") == 0)
        handle(SIGBUS, SIG_IGN, 0);
    else if (strcmp(what, "blocked") == 0)
        block();
    for (long i = 0; i < threads; i++) {
        pair(SOCK_STREAM, workers[i].fds);
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "pthread_create");
    }
    for (long done = 0; done < threads * each; done = all_done(threads)) {
        if (!cut && done > threads * each / 4) {
            if (access(trace, F_OK) == 0) /* natively there is none */
                must(truncate(trace, number(argv, "size", 0)) == 0, "truncate");
            cut = true;
        }
        if (handled) {
            fault_once(empty);
            faults++;
        }
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        say("received", workers[i].received);
    }
    if (handled || once) {
        fault_once(empty);
        say("unseen", faults + 1 - seen);
    }
    return 0;
}
