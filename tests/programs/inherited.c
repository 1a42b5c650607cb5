/* Connected sockets that come into a program by exec: TCP of both families, datagrams, and a unix stream. */
#include "tagged.h"

#include <sys/wait.h>

enum { CONNECTIONS = 4 };

/* A connection of IPv6 loopback; its tag is made as of the others. */
static struct tagged tagged_tcp6(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    int listener = bound(AF_INET6, SOCK_STREAM, &address, &length);
    struct tagged made = {.peer = socket(AF_INET6, SOCK_STREAM, 0)};
    must(listen(listener, 1) == 0 && connect(made.peer, (struct sockaddr *)&address, length) == 0, "connect");
    made.fd = accept(listener, NULL, NULL);
    must(made.fd >= 0, "accept");
    close(listener);
    made.tag = tcp_tag(made.fd); /* sin_port and sin6_port stand in the same place */
    return made;
}

/* In the new program: `fd tag` are arguments. */
static int receive_inherited(char **argv)
{
    for (; argv[0] != NULL && argv[1] != NULL; argv += 2) {
        int fd = atoi(argv[0]);
        long tag = atol(argv[1]);
        while (tagged_receive(fd, tag) > 0)
            ;
        close(fd);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return receive_inherited(argv + 1);
    struct tagged connections[CONNECTIONS] = {tagged_tcp(), tagged_tcp6(), tagged_unix(SOCK_STREAM),
                                              tagged_unix(SOCK_SEQPACKET)};
    char words[2 * CONNECTIONS][16], *arguments[2 * CONNECTIONS + 2] = {argv[0]};
    for (int i = 0; i < CONNECTIONS; i++) {
        snprintf(words[2 * i], sizeof words[0], "%d", connections[i].fd);
        snprintf(words[2 * i + 1], sizeof words[0], "%ld", connections[i].tag);
        arguments[2 * i + 1] = words[2 * i];
        arguments[2 * i + 2] = words[2 * i + 1];
        tagged_exchange(&connections[i]);
        must(send(connections[i].peer, "abc", 3, 0) == 3, "send");
    }
    say("parent", getpid());
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < CONNECTIONS; i++)
            close(connections[i].peer);
        execv("/proc/self/exe", arguments);
        _exit(70);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(connections[i].peer);
    say("child", child);
    int status;
    must(waitpid(child, &status, 0) == child && status == 0, "child");
    return 0;
}
