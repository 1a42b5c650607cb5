/* Another preload, whose constructor makes connections and a thread that blocks in a receive on one of them. The
 * receive gets its byte when the program ends. */
#include "victim.h"

#include <pthread.h>

static int fds[2];

static void *receive(void *tid)
{
    char byte;
    *(volatile long *)tid = gettid_now();
    say("early_received", recv(fds[0], &byte, 1, 0));
    return NULL;
}

static pthread_t thread;

__attribute__((constructor)) static void begin(void)
{
    static volatile long tid;
    char path[64];
    /* Some more, so that a count of their own comes to the number of one of the program's. */
    for (int i = 0; i < 2; i++)
        pair(SOCK_STREAM, fds);
    must(pthread_create(&thread, NULL, receive, (void *)&tid) == 0, "pthread_create");
    while (tid == 0)
        ;
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", tid);
    wait_until_blocked(path, IN_RECEIVE);
}

__attribute__((destructor)) static void end(void)
{
    say("early_fd", fds[0]);
    must(send(fds[1], "x", 1, 0) == 1, "send");
    pthread_join(thread, NULL);
}
