/* Threads that make and close connections=N connections, so that descriptors' numbers are used again and again: of TCP
 * and of unix streams in turn. A connection's tag is the length of its receives, and of it follow the bytes that go
 * over it, how it ends and how it is closed. Resets keep TCP from running out of ports. */
#include "victim.h"

#include <pthread.h>

enum { THREADS = 4 };

static long connections;

struct worker {
    pthread_t thread;
    int index, listener;
    struct sockaddr_storage address;
    socklen_t length;
    char *buffer; /* as long as the largest tag; hardly touched */
};

static void connect_tcp(struct worker *worker, int fds[2])
{
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fds[1], (struct sockaddr *)&worker->address, worker->length) == 0, "connect");
    fds[0] = accept(worker->listener, NULL, NULL);
    must(fds[0] >= 0, "accept");
    reset_at_close(fds[0]);
    reset_at_close(fds[1]);
}

/* One, two or three bytes, one at a time. */
static void exchange_bytes(struct worker *worker, const int fds[2], long tag)
{
    for (long i = 0; i < 1 + tag % 3; i++) {
        must(send(fds[1], "x", 1, 0) == 1, "send");
        must(recv(fds[0], worker->buffer, (size_t)tag, 0) == 1, "receive");
    }
}

static void leave(int fd, long tag)
{
    if (tag % 5 == 0)
        must(close_range((unsigned)fd, (unsigned)fd, 0) == 0, "close_range");
    else
        must(close(fd) == 0, "close");
}

static void live(struct worker *worker, long tag)
{
    int fds[2];
    long turn = tag / THREADS;
    bool tcp = turn % 2 == 0;
    if (tcp)
        connect_tcp(worker, fds);
    else
        pair(SOCK_STREAM, fds);
    exchange_bytes(worker, fds, tag);
    if (turn % 4 < 2) {
        close(fds[1]);
        wait_for(fds[0], POLLIN);
        ssize_t result = recv(fds[0], worker->buffer, (size_t)tag, 0);
        must(tcp ? result == -1 && errno == ECONNRESET : result == 0, "end");
        leave(fds[0], tag);
    } else {
        leave(fds[0], tag);
        close(fds[1]);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (long tag = 1 + worker->index; tag <= connections; tag += THREADS)
        live(worker, tag);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    connections = number(argv, "connections", 20000);
    static struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        struct worker *worker = &workers[i];
        worker->index = i;
        worker->listener = bound(AF_INET, SOCK_STREAM, &worker->address, &worker->length);
        worker->buffer = calloc(1, (size_t)connections + 1);
        must(worker->buffer != NULL && listen(worker->listener, 8) == 0, "listen");
    }
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    say("connections", connections);
    return 0;
}
