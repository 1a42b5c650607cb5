/* A thread with the smallest stack there may be receives, plainly and with an address. */
#include "victim.h"

#include <limits.h>
#include <pthread.h>

static int fds[2];
static long received;

static void *receive(void *argument)
{
    char byte;
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    (void)argument;
    received += recv(fds[0], &byte, 1, 0);
    received += recvfrom(fds[0], &byte, 1, 0, (struct sockaddr *)&from, &length);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    must(pthread_attr_setstacksize(&small, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0, "stack size");
    pair(SOCK_STREAM, fds);
    must(send(fds[1], "ab", 2, 0) == 2, "send");
    must(pthread_create(&thread, &small, receive, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    say("received", received);
    return 0;
}
