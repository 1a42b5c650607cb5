/* Counts its receives in a file shared with the test (argument 1): the count goes up right after each return. Waits to
 * be killed after so many (argument 2). */
#include "victim.h"

#include <fcntl.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    int file = argc == 3 ? open(argv[1], O_RDWR) : -1;
    volatile uint64_t *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(count != MAP_FAILED, "mmap");
    int fds[2];
    pair(SOCK_STREAM, fds);
    for (long left = strtol(argv[2], NULL, 10); left > 0; left--) {
        char byte = 'x';
        must(send(fds[1], &byte, 1, 0) == 1, "send");
        must(recv(fds[0], &byte, 1, 0) == 1, "recv");
        ++*count;
    }
    for (;;)
        pause();
}
