/* A datagram over ::1, and the sender as recvfrom names it: two lines of text and the rest of the address. */
#include "victim.h"

int main(void)
{
    char byte = 'x', text[INET6_ADDRSTRLEN];
    struct sockaddr_storage to;
    socklen_t length;
    int fd = bound(AF_INET6, SOCK_DGRAM, &to, &length);
    recv(fd, &byte, 1, MSG_DONTWAIT); /* finds nothing: the next one is not the thread's first */
    must(sendto(fd, &byte, 1, 0, (struct sockaddr *)&to, length) == 1, "sendto");
    struct sockaddr_in6 from;
    length = sizeof from;
    must(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &length) == 1, "recvfrom");
    dprintf(STDOUT_FILENO, "address %s\n", inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text));
    say("scope", from.sin6_scope_id);
    say("length", length);
    say("port", ntohs(from.sin6_port));
    say("own_port", ntohs(((struct sockaddr_in6 *)&to)->sin6_port));
    say("flow", from.sin6_flowinfo);
    return 0;
}
