/* Two receives of datagrams over ::1, the first of which is interrupted: by a SIGALRM that comes until the socket has
 * been told one, out of its handler. */
#include "victim.h"

static int peer;
static struct sockaddr_storage address;
static socklen_t length;
static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == 2)
        must(sendto(peer, "x", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    errno = error;
}

int main(void)
{
    int fd = bound(AF_INET6, SOCK_DGRAM, &address, &length);
    peer = socket(AF_INET6, SOCK_DGRAM, 0);
    handle(SIGALRM, on_tick, 0);
    tick(20000);
    char byte;
    say("first", recv(fd, &byte, 1, 0));
    tick(0);
    must(sendto(peer, "y", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto");
    say("second", recv(fd, &byte, 1, 0));
    say("port", ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
    return 0;
}
