/* What few programs do (argument 1), beside a receive: calls by other names of theirs, and what fails or is too much.
 */
#include "victim.h"

#include <sys/wait.h>

ssize_t by_other_name(int fd, void *buffer, size_t length) __asm__("__read");
ssize_t checked(int fd, void *buffer, size_t length, size_t size) __asm__("__read_chk");

static void read_by_other_names(void)
{
    int fds[2];
    char buffer[8];
    pair(SOCK_STREAM, fds);
    must(send(fds[1], "abcde", 5, 0) == 5, "send");
    say("other", by_other_name(fds[0], buffer, 2));
    say("checked", checked(fds[0], buffer, 3, sizeof buffer));
}

static void exit_at_once(void)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    say("received", exchange(fds, 1));
    _Exit(5);
}

static int receive_in_child(void *fds)
{
    return exchange(fds, 3) == 3 ? 0 : 1;
}

/* A process by clone, as fork makes one. */
static void clone_process(void)
{
    static _Alignas(16) char stack[1 << 16];
    int fds[2], status;
    pair(SOCK_STREAM, fds);
    int pid = clone(receive_in_child, stack + sizeof stack, SIGCHLD, fds);
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "clone");
    say("child", pid);
    say("received", exchange(fds, 1));
}

/* A datagram socket that had a peer, and has none any more. */
static void dissolve(void)
{
    struct sockaddr_storage own, others[2];
    socklen_t length;
    char byte;
    int fd = bound(AF_INET, SOCK_DGRAM, &own, &length);
    for (int i = 0; i < 2; i++) {
        int other = bound(AF_INET, SOCK_DGRAM, &others[i], &length);
        const struct sockaddr none = {.sa_family = AF_UNSPEC};
        if (i == 0) { /* there is none yet; and a port of the kernel's choice goes with it, unless it is bound to */
            must(connect(fd, &none, sizeof none) == 0, "dissolve what is not there");
            must(bind(fd, (struct sockaddr *)&own, length) == 0, "bind");
        }
        must(i == 1 || connect(fd, (struct sockaddr *)&others[0], length) == 0, "connect");
        must(i == 0 || connect(fd, &none, sizeof none) == 0, "dissolve");
        send_and_await(other, "x", 1, fd, &own, length);
        must(recv(fd, &byte, 1, 0) == 1, "recv");
        say(i == 0 ? "first" : "second", ntohs(((struct sockaddr_in *)&others[i])->sin_port));
    }
}

/* Sockets that are made past libc, as by a library with its own system calls: nobody has seen of what kind they are. */
static void make_past_libc(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fds[2], listener = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    fds[1] = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    must(connect(fds[1], (struct sockaddr *)&address, length) == 0, "connect");
    fds[0] = accept(listener, NULL, NULL);
    say("port", ntohs(address.sin_port));
    say("received", exchange(fds, 2));
    must(send(fds[0], "x", 1, 0) == 1, "send");
    char byte;
    say("answered", recv(fds[1], &byte, 1, 0));
}

/* A child of vfork that receives before its parent ever did, which nobody has told that it is a process of its own. */
static void receive_in_vfork_first(void)
{
    int fds[2], status;
    pair(SOCK_STREAM, fds);
    pid_t process = _Fork();
    if (process == 0) {
        pid_t child = vfork();
        if (child == 0)
            _exit(exchange(fds, 2) == 2 ? 0 : 1);
        must(waitpid(child, &status, 0) == child && status == 0, "vfork");
        say("received", exchange(fds, 3));
        _exit(0);
    }
    must(waitpid(process, &status, 0) == process && status == 0, "_Fork");
    say("process", process);
}

static void *receive_in_thread(void *fds)
{
    must(exchange(fds, 2) == 2, "exchange");
    return NULL;
}

/* A stack that no machine has room for; and then one that it has. */
static void fail_to_start_a_thread(void)
{
    pthread_attr_t huge;
    pthread_t thread;
    int fds[2];
    pair(SOCK_STREAM, fds);
    const size_t too_large = sizeof(size_t) == 8 ? SIZE_MAX >> 18 : SIZE_MAX / 8 * 7;
    must(pthread_attr_init(&huge) == 0 && pthread_attr_setstacksize(&huge, too_large) == 0, "stack size");
    say("error", pthread_create(&thread, &huge, receive_in_thread, fds));
    must(pthread_create(&thread, NULL, receive_in_thread, fds) == 0 && pthread_join(thread, NULL) == 0, "thread");
}

/* Datagrams from more unix sockets with a name than a small trace has room for names; each sends twice. */
static void name_many(void)
{
    struct sockaddr_un from, own = {.sun_family = AF_UNIX};
    socklen_t length = sizeof own;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    must(bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) == 0, "bind"); /* a name of the kernel's choice */
    must(getsockname(fd, (struct sockaddr *)&own, &length) == 0, "getsockname");
    for (int i = 0; i < 100; i++) {
        int other = socket(AF_UNIX, SOCK_DGRAM, 0);
        const struct sockaddr_un any = {.sun_family = AF_UNIX};
        must(bind(other, (const struct sockaddr *)&any, sizeof any.sun_family) == 0, "bind");
        for (int j = 0; j < 2; j++) {
            char byte = 'x';
            socklen_t room = sizeof from;
            must(sendto(other, &byte, 1, 0, (struct sockaddr *)&own, length) == 1, "sendto");
            must(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &room) == 1, "recvfrom");
        }
        close(other);
    }
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {{"names", read_by_other_names},
                                      {"exit", exit_at_once},
                                      {"clone", clone_process},
                                      {"dissolve", dissolve},
                                      {"thread", fail_to_start_a_thread},
                                      {"many", name_many},
                                      {"raw", make_past_libc},
                                      {"vfork", receive_in_vfork_first}};
    (void)argc;
    return show_way(ways, COUNT_OF(ways), argv);
}
