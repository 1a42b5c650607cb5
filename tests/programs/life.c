/* The ways a connection begins, and a process ends (argument 1). Says the ports it used. */
#include "victim.h"

#include <sys/wait.h>

static struct sockaddr_in listening(int *listener)
{
    struct sockaddr_storage own;
    socklen_t length;
    *listener = bound(AF_INET, SOCK_STREAM, &own, &length);
    must(listen(*listener, 8) == 0, "listen");
    return *(struct sockaddr_in *)&own;
}

static long long port_of(int fd)
{
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    must(getsockname(fd, (struct sockaddr *)&own, &length) == 0, "getsockname");
    return ntohs(own.sin_port);
}

static int try_connect(int fd, const struct sockaddr_in *address)
{
    return connect(fd, (const struct sockaddr *)address, sizeof *address);
}

static int error_of(int fd)
{
    int error = -1;
    socklen_t length = sizeof error;
    must(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0, "SO_ERROR");
    return error;
}

/* One that waits for the connection, by accept with and without an address. */
static void accepted(void)
{
    int listener;
    struct sockaddr_in address = listening(&listener), peer;
    say("listener", ntohs(address.sin_port));
    for (int i = 0; i < 3; i++) {
        socklen_t length = sizeof peer;
        int client = socket(AF_INET, SOCK_STREAM, 0);
        must(try_connect(client, &address) == 0, "connect");
        int fd = i == 0   ? accept(listener, (struct sockaddr *)&peer, &length)
                 : i == 1 ? accept(listener, NULL, NULL)
                          : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        must(fd >= 0, "accept");
        char key[] = "client0";
        key[6] = (char)('0' + i);
        say(key, port_of(client));
        close(fd);
        close(client);
    }
    close(listener);
}

/* A crypto socket's accept fails with ECONNABORTED where an address is asked for; one of a family with addresses does
 * not tell its own where none is asked for. */
static void accepted_without_address(void)
{
    struct sockaddr_storage algorithm = {0};
    struct {
        uint16_t family;
        char type[14];
        uint32_t feature, mask;
        char name[64];
    } sha = {.family = AF_ALG, .type = "hash", .name = "sha256"};
    memcpy(&algorithm, &sha, sizeof sha);
    int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&algorithm, sizeof sha) != 0) {
        say("algorithm", 0);
        return;
    }
    say("algorithm", 1);
    int operation = accept(fd, NULL, NULL);
    say("accepted", operation >= 0);
    say("errno", operation < 0 ? errno : 0);
}

static void refused(void)
{
    struct sockaddr_storage nobody;
    socklen_t length;
    refusing(SOCK_STREAM, &nobody, &length);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    say("refused", try_connect(fd, (struct sockaddr_in *)&nobody) < 0 ? errno : 0);
    close(fd);
}

/* Two connects under way to one who listens and to nobody, ready to be asked about. */
static void begin_two(int fds[2], struct sockaddr_in addresses[2])
{
    int listener;
    struct sockaddr_storage nobody;
    socklen_t length;
    addresses[0] = listening(&listener);
    refusing(SOCK_STREAM, &nobody, &length);
    addresses[1] = *(struct sockaddr_in *)&nobody;
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        must(try_connect(fds[i], &addresses[i]) < 0 && errno == EINPROGRESS, "EINPROGRESS");
        wait_for(fds[i], POLLOUT);
    }
}

/* The result is read from SO_ERROR, once good and once bad. */
static void under_way(void)
{
    int fds[2];
    struct sockaddr_in addresses[2];
    begin_two(fds, addresses);
    for (int i = 0; i < 2; i++) {
        say(i == 0 ? "good" : "bad", error_of(fds[i]));
        say(i == 0 ? "again" : "bad_again", error_of(fds[i]));
        close(fds[i]);
    }
}

/* The same, found out by a second connect. */
static void asked_again(void)
{
    int fds[2];
    struct sockaddr_in addresses[2];
    begin_two(fds, addresses);
    for (int i = 0; i < 2; i++)
        say(i == 0 ? "good" : "bad", try_connect(fds[i], &addresses[i]) < 0 ? errno : 0);
}

/* AF_UNSPEC ends one connection; the next on the same socket is another. */
static void dissolved(void)
{
    int listener;
    struct sockaddr_in address = listening(&listener);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++) {
        char byte;
        must(try_connect(fd, &address) == 0, "connect");
        int peer = accept(listener, NULL, NULL);
        must(send(peer, "x", 1, 0) == 1, "send");
        say("received", recv(fd, &byte, 1, 0));
        must(connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)) == 0, "AF_UNSPEC");
        close(peer);
    }
    close(fd);
}

/* A datagram socket that is connected, received upon, and let go again. */
static void datagrams(void)
{
    struct sockaddr_storage own, other;
    socklen_t length;
    char byte;
    int fd = bound(AF_INET, SOCK_DGRAM, &own, &length), sender = bound(AF_INET, SOCK_DGRAM, &other, &length);
    say("sender", port_of(sender));
    say("receiver", port_of(fd));
    must(sendto(sender, "x", 1, 0, (struct sockaddr *)&own, length) == 1, "sendto");
    say("plain", recv(fd, &byte, 1, 0));
    must(connect(fd, (struct sockaddr *)&other, length) == 0, "connect");
    must(sendto(sender, "x", 1, 0, (struct sockaddr *)&own, length) == 1, "sendto");
    say("connected", recv(fd, &byte, 1, 0));
}

/* A datagram socket that is connected to one after the other through a descriptor, received upon through its duplicate;
 * and that a third does not become its peer. */
static void reconnected(void)
{
    struct sockaddr_storage own, others[2];
    struct sockaddr_in everyone = {.sin_family = AF_INET, .sin_port = 1, .sin_addr.s_addr = INADDR_BROADCAST};
    socklen_t length;
    char byte;
    int fd = bound(AF_INET, SOCK_DGRAM, &own, &length), copy = dup(fd);
    for (int i = 0; i < 2; i++) {
        int sender = bound(AF_INET, SOCK_DGRAM, &others[i], &length);
        say(i == 0 ? "first" : "second", port_of(sender));
        must(connect(fd, (struct sockaddr *)&others[i], length) == 0, "connect");
        must(sendto(sender, "xx", 2, 0, (struct sockaddr *)&own, length) == 2, "sendto");
        say("received", recv(copy, &byte, 1, 0));
        if (i == 1) {
            say("everyone", connect(fd, (struct sockaddr *)&everyone, sizeof everyone));
            must(sendto(sender, "x", 1, 0, (struct sockaddr *)&own, length) == 1, "sendto");
            say("received", recv(fd, &byte, 1, 0));
        }
    }
}

static void invalid(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    say("fault", connect(fd, (void *)8, 16) < 0 ? errno : 0);
    say("length", connect(fd, (void *)8, (socklen_t)-1) < 0 ? errno : 0);
    say("bad", connect(-1, (void *)8, 16) < 0 ? errno : 0);
    say("shut", shutdown(fd, SHUT_RDWR) < 0 ? errno : 0);
    struct sockaddr_in peer;
    say("accept", accept(fd, (struct sockaddr *)&peer, NULL) < 0 ? errno : 0);
}

static void by_exit(void)
{
    exit(3);
}

static void by_underscore(void)
{
    _exit(4);
}

static void receive_one(void)
{
    int fds[2];
    char byte;
    pair(SOCK_STREAM, fds);
    must(send(fds[0], "x", 1, 0) == 1, "send");
    must(recv(fds[1], &byte, 1, 0) == 1, "recv");
}

/* A child that received ends with a status of its own; one that did not says nothing. */
static void children(void)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 0)
                receive_one();
            _exit(5 + i);
        }
        waitpid(pid, NULL, 0);
        say(i == 0 ? "received" : "silent", pid);
    }
}

static void by_signal(void)
{
    receive_one();
    kill(getpid(), SIGKILL);
}

static const struct {
    const char *name;
    void (*show)(void);
} ways[] = {
    {"accepted", accepted},        {"accepted-without-address", accepted_without_address},
    {"refused", refused},          {"under-way", under_way},
    {"asked-again", asked_again},  {"dissolved", dissolved},
    {"datagrams", datagrams},      {"reconnected", reconnected},
    {"invalid", invalid},          {"exit", by_exit},
    {"underscore", by_underscore}, {"children", children},
    {"signal", by_signal},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 2 && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].show();
            return 0;
        }
    }
    return 64;
}
