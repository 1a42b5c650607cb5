/* A datagram over ::1 that is received over the beginning of the message header itself, which the kernel has read by
 * then. */
#include "victim.h"

int main(void)
{
    char byte, ones[sizeof(void *)];
    struct sockaddr_storage to;
    socklen_t length;
    int fd = bound(AF_INET6, SOCK_DGRAM, &to, &length);
    recv(fd, &byte, 1, MSG_DONTWAIT); /* finds nothing: the next one is not the thread's first */
    memset(ones, 1, sizeof ones);
    must(sendto(fd, ones, sizeof ones, 0, (struct sockaddr *)&to, length) == (ssize_t)sizeof ones, "sendto");
    struct sockaddr_in6 from;
    struct msghdr message;
    struct iovec piece = {&message, sizeof ones};
    message = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1};
    say("whole", recvmsg(fd, &message, 0) == (ssize_t)sizeof ones);
    say("length", message.msg_namelen);
    say("family", from.sin6_family);
    return 0;
}
