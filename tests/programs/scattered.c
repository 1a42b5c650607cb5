/* Four threads that make their own connections and receive on them, each at a pace of its own that no two runs share:
 * tells thread by thread what came of each receive, a sum of what was received, and what random() and rand() then give.
 * `pause=0`: without the pauses. Each receive is of up to 8 bytes, all of which are there before the first: what a
 * loaded kernel brings later would be received by another one. */
#include "victim.h"

#define THREADS     4
#define CONNECTIONS 3
#define RECEIVES    40
#define MOST        8 /* a receive */

static bool pauses;
static struct {
    char results[CONNECTIONS * RECEIVES + 1];
    uint64_t sum; /* of all that was received */
} threads_saw[THREADS];

/* From the clock: another one each time. */
static void pause_somehow(void)
{
    uint64_t noise = nanoseconds(CLOCK_MONOTONIC) / 7;
    if (!pauses || noise % 4 == 0)
        return;
    if (noise % 4 == 1)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = (long)(noise % 50000)}, NULL);
}

static char letter(ssize_t result)
{
    return (char)(result < 0 ? (errno == EIO ? 'E' : '?') : result == 0 ? '.' : '0' + result);
}

static void fill(const int fds[2])
{
    static const char data[] = "12345678";
    for (int i = 0; i < RECEIVES; i++)
        must(send(fds[1], data, MOST, 0) == MOST, "send");
    wait_for_bytes(fds[0], RECEIVES * MOST);
}

static void *receive_all(void *argument)
{
    long number = (long)argument;
    char *result = threads_saw[number].results;
    for (int connection = 0; connection < CONNECTIONS; connection++) {
        int fds[2];
        pause_somehow();
        if (connection == 0)
            tcp_pair(fds, NULL);
        else
            pair(SOCK_STREAM, fds);
        fill(fds);
        for (int i = 0; i < RECEIVES; i++) {
            char data[MOST];
            pause_somehow();
            errno = 0;
            ssize_t got = recv(fds[0], data, sizeof data, 0);
            *result++ = letter(got);
            for (ssize_t n = 0; n < got; n++)
                threads_saw[number].sum = threads_saw[number].sum * 31 + (unsigned char)data[n];
        }
        close(fds[0]);
        close(fds[1]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    (void)argc;
    pauses = number(argv + 1, "pause", 1) != 0;
    srandom(7);
    srand(7);
    for (long i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, receive_all, (void *)i) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        printf("%s %llu\n", threads_saw[i].results, (unsigned long long)threads_saw[i].sum);
    printf("random %ld %d %ld\n", random(), rand(), lrand48());
    return 0;
}
