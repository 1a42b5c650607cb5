/* Receives that are told to put something where no memory is, or none that can be written: the kernel refuses.
 *   what=length     recvfrom, the length of its address       what=message   recvmsg, its message
 *   what=messages   recvmmsg, its messages                    what=read-only recvmsg of a stream, a message that cannot
 *                                                                            be written
 *   what=pieces     recvmsg, its message's vector             what=vector    readv
 *   what=accepted   accept, the length of its address         what=timeout   recvmmsg
 *   what=no-name    recvmsg of a datagram, a message that wants no address and cannot be written */
#include "victim.h"

#include <sys/mman.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
    (void)argc;
    const char *what = option(argv, "what", "length");
    char byte, *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sockaddr_storage to, source;
    struct iovec piece = {&byte, 1};
    socklen_t length;
    must(pages != MAP_FAILED, "mmap");
    *(struct msghdr *)(void *)pages =
        (struct msghdr){.msg_name = &source, .msg_namelen = sizeof source, .msg_iov = &piece, .msg_iovlen = 1};
    ((struct msghdr *)(void *)pages)[1] = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
    must(mprotect(pages, 4096, PROT_READ) == 0 && munmap(pages + 4096, 4096) == 0, "a page that is not there");
    void *nowhere = pages + 4096;
    int fd = bound(AF_INET, SOCK_DGRAM, &to, &length);
    must(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, length) == 1, "sendto");
    wait_for(fd, POLLIN);
    struct msghdr message = {.msg_iov = nowhere, .msg_iovlen = 1};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    int stream[2], listener = bound(AF_INET, SOCK_STREAM, &to, &length), client = socket(AF_INET, SOCK_STREAM, 0);
    must(listen(listener, 1) == 0 && connect(client, (struct sockaddr *)&to, length) == 0, "connect");
    pair(SOCK_STREAM, stream);
    must(send(stream[1], "x", 1, 0) == 1, "send");
    ssize_t result;
    errno = 0;
    if (strcmp(what, "length") == 0)
        result = recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&source, nowhere);
    else if (strcmp(what, "messages") == 0)
        result = recvmmsg(fd, nowhere, 1, 0, NULL);
    else if (strcmp(what, "message") == 0)
        result = recvmsg(fd, nowhere, 0);
    else if (strcmp(what, "pieces") == 0)
        result = recvmsg(fd, &message, 0);
    else if (strcmp(what, "no-name") == 0)
        result = recvmsg(fd, (struct msghdr *)(void *)pages + 1, 0);
    else if (strcmp(what, "vector") == 0)
        result = readv(fd, nowhere, 1);
    else if (strcmp(what, "timeout") == 0)
        result = recvmmsg(fd, &messages, 1, 0, nowhere);
    else if (strcmp(what, "accepted") == 0)
        result = accept(listener, (struct sockaddr *)&source, nowhere);
    else
        result = recvmsg(stream[0], (struct msghdr *)(void *)pages, 0);
    int error = errno;
    say("result", result);
    say("errno", result < 0 ? error : 0);
    return 0;
}
