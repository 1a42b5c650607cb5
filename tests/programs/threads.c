/* `threads` threads, each receiving `each` times on a socket pair of its own, and, with until=FILE, so often again
 * until that is there; each says what it counted. */
#include "victim.h"

#include <pthread.h>

static long each;
static const char *until;

struct worker {
    pthread_t thread;
    long tid, sent, received;
    int fds[2];
};

static void *work(void *argument)
{
    struct worker *self = argument;
    self->tid = gettid_now();
    do {
        self->received += exchange(self->fds, each);
        self->sent += each;
    } while (until != NULL && access(until, F_OK) != 0);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    static struct worker workers[16];
    long threads = number(argv, "threads", 1);
    each = number(argv, "each", 1000);
    until = option(argv, "until", NULL);
    must(threads <= 16, "at most 16 threads");
    for (long i = 0; i < threads; i++) {
        pair(SOCK_STREAM, workers[i].fds);
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "pthread_create");
    }
    for (long i = 0; i < threads; i++) {
        char key[32];
        pthread_join(workers[i].thread, NULL);
        snprintf(key, sizeof key, "tid%ld", i);
        say(key, workers[i].tid);
        snprintf(key, sizeof key, "fd%ld", i);
        say(key, workers[i].fds[0]);
        snprintf(key, sizeof key, "sent%ld", i);
        say(key, workers[i].sent);
        snprintf(key, sizeof key, "received%ld", i);
        say(key, workers[i].received);
    }
    return 0;
}
