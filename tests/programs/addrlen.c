/* What recvfrom does to the address buffer and its length, at lengths around a sockaddr_in6's, and where either is
 * missing or invalid; with call=recvmsg or recvmmsg the same of those, at such lengths. The output is the same with and
 * without an interposer that keeps its hands to itself. */
#include "by_call.h"

enum { CANARY = 0xa5 };
static int fd;
static const char *call;
static struct sockaddr_storage own;
static socklen_t own_length;

static void send_to_self(void)
{
    must(sendto(fd, "x", 1, 0, (struct sockaddr *)&own, own_length) == 1, "sendto");
    wait_for(fd, POLLIN);
}

static void try_length(socklen_t length)
{
    _Alignas(struct sockaddr_storage) unsigned char address[256];
    char byte;
    socklen_t returned = length;
    memset(address, CANARY, sizeof address);
    send_to_self();
    ssize_t result = receive_by(call, fd, &byte, 1, 0, (struct sockaddr_storage *)(void *)address, &returned);
    unsigned beyond = 0, within = 0;
    for (size_t i = 0; i < sizeof address; i++)
        if (i < length)
            within = within * 31 + (i == 2 || i == 3 ? 0U : address[i]); /* but for the port, drawn anew */
        else
            beyond += address[i] != CANARY;
    dprintf(STDOUT_FILENO, "length %u result %zd returned %u within %u beyond %u\n", length, result, returned, within,
            beyond);
}

static void try_recvfrom(const char *what, struct sockaddr *address, socklen_t *length)
{
    char byte;
    send_to_self();
    errno = 0;
    ssize_t result = recvfrom(fd, &byte, 1, 0, address, length);
    int error = result < 0 ? errno : 0;
    /* Whether the datagram was taken nevertheless. */
    ssize_t left = recv(fd, &byte, 1, MSG_DONTWAIT);
    dprintf(STDOUT_FILENO, "%s result %zd errno %d length %u left %zd\n", what, result, error,
            length != NULL ? *length : 0, left);
}

static void try_connected_tcp(void)
{
    int fds[2];
    char byte;
    _Alignas(struct sockaddr_storage) unsigned char address[sizeof(struct sockaddr_storage)];
    socklen_t length = sizeof address;
    memset(address, CANARY, sizeof address);
    tcp_pair(fds, NULL);
    must(send(fds[1], "x", 1, 0) == 1, "send");
    ssize_t result = receive_by(call, fds[0], &byte, 1, 0, (struct sockaddr_storage *)(void *)address, &length);
    unsigned changed = 0;
    for (size_t i = 0; i < sizeof address; i++)
        changed += address[i] != CANARY;
    dprintf(STDOUT_FILENO, "tcp result %zd length %u changed %u\n", result, length, changed);
}

static void try_odd_arguments(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    try_recvfrom("neither", NULL, NULL);
    try_recvfrom("no-address", NULL, &length);
    try_recvfrom("no-length", (struct sockaddr *)&address, NULL);
    length = sizeof address;
    try_recvfrom("bad-address", (struct sockaddr *)8, &length);
    length = UINT32_MAX; /* negative to the kernel */
    try_recvfrom("negative", (struct sockaddr *)&address, &length);
}

int main(int argc, char **argv)
{
    (void)argc;
    static const socklen_t lengths[] = {0, 1, 2, 16, 24, 27, 28, 128};
    call = option(argv, "call", "recvfrom");
    fd = bound(AF_INET6, SOCK_DGRAM, &own, &own_length);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        try_length(lengths[i]);
    if (strcmp(call, "recvfrom") == 0)
        try_odd_arguments();
    try_connected_tcp();
    return 0;
}
