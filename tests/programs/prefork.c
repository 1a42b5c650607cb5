/* A server with a process for each connection (argument 1: each), or with workers that accept from one listener
 * (workers); a process of clients; connections=N. A client sends what its port says (tagged.h) and goes. */
#include "tagged.h"

#include <sys/wait.h>

enum { AT_ONCE = 5, WORKERS = 3 };

static struct sockaddr_storage address;
static socklen_t address_length;
static int listener;

static pid_t forked(void)
{
    pid_t child = fork();
    must(child >= 0, "fork");
    return child;
}

static void run_clients(long connections)
{
    for (long i = 0; i < connections; i += AT_ONCE) {
        int fds[AT_ONCE];
        for (long n = 0; n < AT_ONCE; n++) {
            fds[n] = socket(AF_INET, SOCK_STREAM, 0);
            must(connect(fds[n], (struct sockaddr *)&address, address_length) == 0, "connect");
        }
        for (long n = 0; n < AT_ONCE; n++) {
            size_t length = bytes_of_tag(port_of(fds[n], false));
            must(send(fds[n], "1234567", length, 0) == (ssize_t)length, "send");
        }
        for (long n = 0; n < AT_ONCE; n++)
            close(fds[n]);
    }
}

static void serve(int fd)
{
    long tag = port_of(fd, true);
    while (tagged_receive(fd, tag) > 0)
        ;
}

/* With an address asked for, and without. */
static int take(long i)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd = i % 2 == 0 ? accept(listener, NULL, NULL) : accept(listener, (struct sockaddr *)&peer, &length);
    must(fd >= 0, "accept");
    return fd;
}

/* Every third connection is the parent's own: the children come and go meanwhile. */
static void a_process_each(long connections)
{
    for (long i = 0; i < connections; i++) {
        int fd = take(i);
        if (i % 3 != 0 && forked() == 0) {
            close(listener);
            serve(fd);
            if (i % 2 == 0)
                close(fd);
            _exit(0);
        }
        if (i % 3 == 0)
            serve(fd);
        close(fd);
    }
}

static void workers(long connections)
{
    for (int worker = 0; worker < WORKERS; worker++) {
        if (forked() != 0)
            continue;
        for (long i = 0; i < connections / WORKERS; i++) {
            int fd = take(i);
            serve(fd);
            close(fd);
        }
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    long connections = number(argv, "connections", 60);
    listener = bound(AF_INET, SOCK_STREAM, &address, &address_length);
    must(listen(listener, 64) == 0, "listen");
    if (forked() == 0) {
        close(listener);
        run_clients(connections);
        _exit(0);
    }
    say("port", port_of(listener, false));
    if (argc > 1 && strcmp(argv[1], "each") == 0)
        a_process_each(connections);
    else
        workers(connections);
    int status;
    while (wait(&status) > 0)
        must(status == 0, "child");
    return 0;
}
