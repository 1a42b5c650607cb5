/* A receive that asks for more than its buffer holds: _FORTIFY_SOURCE=2 must end the program by SIGABRT. */
#include "victim.h"

int main(int argc, char **argv)
{
    (void)argc;
    char buffer[16] = "0123456789abcde";
    volatile size_t length = sizeof buffer + 1;
    int fds[2];
    pair(SOCK_STREAM, fds);
    must(send(fds[1], buffer, sizeof buffer, 0) == sizeof buffer, "send");
    const char *call = option(argv, "call", "recv");
    if (strcmp(call, "recv") == 0)
        say("result", recv(fds[0], buffer, length, 0));
    else if (strcmp(call, "read") == 0)
        say("result", read(fds[0], buffer, length));
    else
        say("result", recvfrom(fds[0], buffer, length, 0, NULL, NULL));
    return 0;
}
