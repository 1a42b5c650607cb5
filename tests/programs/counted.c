/* Counts its receives in a file shared with the test (argument 1): the count goes up right after each return. Waits to
 * be killed after so many (argument 2); with argument 3 the kernel kills it so many microseconds after it began, in the
 * midst of whatever it is doing. */
#include "victim.h"

#include <fcntl.h>
#include <sys/mman.h>

static void be_killed_after(long microseconds)
{
    struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec once = {.it_value = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000}};
    timer_t timer;
    must(timer_create(CLOCK_MONOTONIC, &kill, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0, "timer");
}

int main(int argc, char **argv)
{
    int file = argc >= 3 ? open(argv[1], O_RDWR) : -1;
    volatile uint64_t *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(count != MAP_FAILED, "mmap");
    int fds[2];
    pair(SOCK_STREAM, fds);
    if (argc > 3)
        be_killed_after(strtol(argv[3], NULL, 10));
    for (long left = strtol(argv[2], NULL, 10); left > 0; left--) {
        char byte = 'x';
        must(send(fds[1], &byte, 1, 0) == 1, "send");
        must(recv(fds[0], &byte, 1, 0) == 1, "recv");
        ++*count;
    }
    for (;;)
        pause();
}
