/* A receive is under way when its trace is switched on, by who has the file: not the thread's first. */
#include "victim.h"

#include "recvshim/trace.h"

#include <sys/mman.h>

static int fds[2];
static volatile long tid;

static void *receive(void *unused)
{
    char byte;
    must(recv(fds[0], &byte, 1, 0) == 1, "recv");
    tid = gettid_now();
    say("received", recv(fds[0], &byte, 1, 0));
    return unused;
}

int main(void)
{
    pthread_t thread;
    char path[64];
    int file = open(getenv("RECVSHIM_TRACE"), O_RDWR);
    must(file >= 0, "the trace");
    struct recvshim_control *control =
        mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, RECVSHIM_CONTROL_OFFSET);
    must(control != MAP_FAILED, "mmap");
    tcp_pair(fds, NULL);
    must(write(fds[1], "x", 1) == 1 && pthread_create(&thread, NULL, receive, NULL) == 0, "pthread_create");
    while (tid == 0)
        ;
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", tid);
    wait_until_blocked(path, IN_RECEIVE);
    atomic_store(&control->tracing, 1);
    must(write(fds[1], "x", 1) == 1, "write");
    pthread_join(thread, NULL);
    return 0;
}
