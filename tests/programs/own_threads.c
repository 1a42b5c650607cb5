/* Two threads, one after the other, each with a connection of its own: what each sees of its receives. started=c11 or
 * posix is how they are started, always in the same order; first=0 or 1 which is the first to receive. */
#include "victim.h"

#include <threads.h>

enum { THREADS = 2, RECEIVES = 40 };

static struct {
    volatile bool runs;
    char results[RECEIVES + 1];
} threads[THREADS];

static void receive_all(long number)
{
    int fds[2];
    while (!threads[number].runs)
        thrd_yield();
    pair(SOCK_STREAM, fds);
    for (int i = 0; i < RECEIVES; i++) {
        char byte;
        must(send(fds[1], "x", 1, 0) == 1, "send");
        threads[number].results[i] = recv(fds[0], &byte, 1, 0) == 1 ? '.' : 'E';
    }
}

static int as_c11(void *number)
{
    receive_all((long)number);
    return 0;
}

static void *as_posix(void *number)
{
    receive_all((long)number);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    bool c11 = strcmp(option(argv, "started", "c11"), "c11") == 0;
    long first = number(argv, "first", 0);
    thrd_t of_c11[THREADS];
    pthread_t of_posix[THREADS];
    for (long i = 0; i < THREADS; i++)
        must((c11 ? thrd_create(&of_c11[i], as_c11, (void *)i) == thrd_success
                  : pthread_create(&of_posix[i], NULL, as_posix, (void *)i) == 0),
             "thread");
    for (long i = 0; i < THREADS; i++) {
        long next = i == 0 ? first : 1 - first;
        threads[next].runs = true;
        must((c11 ? thrd_join(of_c11[next], NULL) == thrd_success : pthread_join(of_posix[next], NULL) == 0), "join");
    }
    for (int i = 0; i < THREADS; i++)
        dprintf(STDOUT_FILENO, "%s\n", threads[i].results);
    return 0;
}
