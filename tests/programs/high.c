/* Receives a byte at a time, in turn from two sockets, three from each. Their descriptors have numbers above 65,535, or
 * with low=1 such as the kernel gives. With read=1 by read. Status 77: there can be none so high (see lower_high.c). */
#include "victim.h"

#include <sys/resource.h>

enum { FIRST = 66000, HIGHEST = 66001 };

static void raise_limit(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
    if (limit.rlim_cur > HIGHEST)
        return;
    limit.rlim_cur = HIGHEST + 1;
    if (limit.rlim_max < limit.rlim_cur)
        limit.rlim_max = limit.rlim_cur; /* as root may */
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    (void)argc;
    int pairs[2][2], receivers[2];
    bool low = number(argv, "low", 0) != 0;
    raise_limit();
    for (int i = 0; i < 2; i++) {
        pair(SOCK_STREAM, pairs[i]);
        receivers[i] = low ? pairs[i][0] : dup2(pairs[i][0], FIRST + i);
        if (receivers[i] == -1)
            return 77;
    }
    for (int i = 0; i < 6; i++) {
        must(send(pairs[i % 2][1], "x", 1, 0) == 1, "send");
        char byte;
        if (number(argv, "read", 0) == 0)
            see(receivers[i % 2], 1, 0);
        else
            must(read(receivers[i % 2], &byte, 1) == 1, "read");
    }
    return 0;
}
