/* Two receives over ::1, of datagrams or, with tcp=1, of a connection that was accepted by the kernel's call
 * itself, the first of which is interrupted: by a SIGALRM that comes until the socket has been sent a byte, out of its
 * handler. */
#include "ticks.h"

static int peer;
static struct sockaddr_storage address;
static socklen_t length;
static volatile sig_atomic_t ticks;

static void send_byte(void)
{
    must(sendto(peer, "x", 1, 0, (struct sockaddr *)&address, length) == 1, "sendto"); /* connected: it has no say */
}

static void on_tick(int signal)
{
    (void)signal;
    int error = errno;
    if (++ticks == 2)
        send_byte();
    errno = error;
}

int main(int argc, char **argv)
{
    (void)argc;
    int type = number(argv, "tcp", 0) != 0 ? SOCK_STREAM : SOCK_DGRAM;
    int fd = bound(AF_INET6, type, &address, &length);
    peer = socket(AF_INET6, type, 0);
    if (type == SOCK_STREAM) {
        must(listen(fd, 1) == 0 && connect(peer, (struct sockaddr *)&address, length) == 0, "connect");
        fd = (int)syscall(SYS_accept4, fd, NULL, NULL, 0);
        must(fd >= 0, "accept4");
    }
    handle(SIGALRM, on_tick, 0);
    begin_ticks(20000);
    char byte;
    say("first", recv(fd, &byte, 1, 0));
    end_ticks();
    send_byte();
    wait_for(fd, POLLIN);
    say("second", recv(fd, &byte, 1, MSG_DONTWAIT));
    say("port", ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
    return 0;
}
