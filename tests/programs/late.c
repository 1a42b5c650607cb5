/* Receives when all is over: in a destructor of thread-specific data, in an exit handler, and in a destructor of the
 * program. */
#include "victim.h"

#include <pthread.h>

static int fds[2];

static void of_thread(void *value)
{
    (void)value;
    say("of_thread", exchange(fds, 1));
}

static void at_exit(void)
{
    say("at_exit", exchange(fds, 1));
}

__attribute__((destructor)) static void of_program(void)
{
    say("of_program", exchange(fds, 1));
}

static void *thread(void *key)
{
    pthread_setspecific(*(pthread_key_t *)key, key);
    return NULL;
}

int main(void)
{
    pthread_key_t key;
    pthread_t other;
    pair(SOCK_STREAM, fds);
    atexit(at_exit);
    must(pthread_key_create(&key, of_thread) == 0, "pthread_key_create");
    must(pthread_create(&other, NULL, thread, &key) == 0, "pthread_create");
    pthread_join(other, NULL);
    return 0;
}
