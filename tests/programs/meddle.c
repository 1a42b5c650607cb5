/* Receives, does something to a file (argument 1: truncate, remove or forbid; argument 2: the file) and goes on. */
#include "victim.h"

#include <sys/stat.h>

int main(int argc, char **argv)
{
    int fds[2];
    must(argc == 3, "arguments");
    pair(SOCK_STREAM, fds);
    say("before", exchange(fds, 100));
    if (strcmp(argv[1], "truncate") == 0)
        must(truncate(argv[2], 0) == 0, "truncate");
    else if (strcmp(argv[1], "remove") == 0)
        must(unlink(argv[2]) == 0, "unlink");
    else if (strcmp(argv[1], "forbid") == 0)
        must(chmod(argv[2], 0) == 0, "chmod");
    say("after", exchange(fds, 100));
    return 0;
}
