/* So many receives (argument 1) above a layer that makes no system call, for a tool that counts instructions. */
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (long rest = argc > 1 ? strtol(argv[1], NULL, 10) : 0; rest > 0; rest--)
        recv(fd, &byte, 1, 0);
    return 0;
}
