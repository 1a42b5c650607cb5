/* A preload below the shim: a receive without its system call, and so without that call's noise. What the shim adds to
 * it is the shim's own cost, to a tenth of a nanosecond. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    (void)fd;
    (void)buffer;
    (void)length;
    (void)flags;
    return 1;
}

/* As of TCP: no address, nothing besides. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    (void)fd;
    (void)flags;
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    return 1;
}

ssize_t recvfrom(int fd, void *restrict buffer, size_t length, int flags, __SOCKADDR_ARG address,
                 socklen_t *restrict address_length)
{
    static const struct sockaddr_in6 sender = {
        .sin6_family = AF_INET6, .sin6_addr = {{{0xfe, 0x80, [15] = 1}}}, .sin6_scope_id = 1};
    (void)fd;
    (void)buffer;
    (void)length;
    (void)flags;
    if (address.__sockaddr__ != NULL && *address_length >= sizeof sender) {
        /* Written once: the kernel's stores are long done when a call returns, but those of a few instructions ago
         * would have to be waited for by whoever reads them in other portions. */
        if (memcmp(address.__sockaddr__, &sender, sizeof sender) != 0)
            memcpy(address.__sockaddr__, &sender, sizeof sender);
        *address_length = sizeof sender;
    }
    return 1;
}
