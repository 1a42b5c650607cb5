/* Receives past the program's own calls of libc, 7 of them between 10 that it makes itself: `local`, `deep` and
 * `namespace` by a module that is loaded as usual, with RTLD_DEEPBIND, or into a namespace with a libc of its own;
 * `raw` by system calls; `stdio` and `resolver` by libc; `splice`, `preadv2` and `aio` by other calls. `module=` is the
 * path. */
#include "victim.h"

#include <aio.h>
#include <dlfcn.h>
#include <netdb.h>
#include <resolv.h>
#include <sys/uio.h>

enum { PAST = 7 };

static long by_module(void *module, const int fds[2])
{
    must(module != NULL, "dlopen");
    long (*run)(const int[2], long) = (long (*)(const int[2], long))(uintptr_t)dlsym(module, "module_exchange");
    must(run != NULL, "dlsym");
    return run(fds, PAST);
}

static long by_system_call(const int fds[2])
{
    long arrived = 0;
    char byte = 'x';
    for (int i = 0; i < PAST; i++) {
        must(send(fds[1], &byte, 1, 0) == 1, "send");
        arrived += syscall(SYS_recvfrom, fds[0], &byte, 1, 0, NULL, NULL);
    }
    return arrived;
}

static long by_stdio(const int fds[2])
{
    long arrived = 0;
    FILE *stream = fdopen(fds[0], "r");
    must(stream != NULL, "fdopen");
    setvbuf(stream, NULL, _IONBF, 0);
    for (int i = 0; i < PAST; i++) {
        must(send(fds[1], "x", 1, 0) == 1, "send");
        arrived += fgetc(stream) == 'x';
    }
    return arrived;
}

static long by_splice(const int fds[2])
{
    long arrived = 0;
    int pipe_ends[2];
    must(pipe(pipe_ends) == 0, "pipe");
    for (int i = 0; i < PAST; i++) {
        must(send(fds[1], "x", 1, 0) == 1, "send");
        arrived += splice(fds[0], NULL, pipe_ends[1], NULL, 1, 0);
    }
    return arrived;
}

static long by_preadv2(const int fds[2])
{
    long arrived = 0;
    char byte;
    struct iovec piece = {&byte, 1};
    for (int i = 0; i < PAST; i++) {
        must(send(fds[1], "x", 1, 0) == 1, "send");
        arrived += preadv2(fds[0], &piece, 1, -1, 0);
    }
    return arrived;
}

static long by_aio(const int fds[2])
{
    long arrived = 0;
    char byte;
    for (int i = 0; i < PAST; i++) {
        struct aiocb request = {.aio_fildes = fds[0], .aio_buf = &byte, .aio_nbytes = 1};
        const struct aiocb *requests[] = {&request};
        must(aio_read(&request) == 0, "aio_read");
        must(send(fds[1], "x", 1, 0) == 1, "send");
        while (aio_error(&request) == EINPROGRESS)
            aio_suspend(requests, 1, NULL);
        arrived += aio_return(&request);
    }
    return arrived;
}

/* A name server that has one address for every name (RFC 1035, 4.1). By system calls: its own receives are none that
 * are asked about. */
static void *serve_names(void *argument)
{
    static const unsigned char address[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1};
    const int fd = *(int *)argument;
    for (;;) {
        unsigned char message[512];
        struct sockaddr_storage client;
        socklen_t length = sizeof client;
        long size = syscall(SYS_recvfrom, fd, message, sizeof message - sizeof address, 0, &client, &length);
        const unsigned char *name = message + 12;
        if (size < 12)
            return NULL;
        while (*name != 0)
            name += 1 + *name;
        size_t question = (size_t)(name + 5 - message);
        message[2] |= 0x80; /* an answer, of one record and no other */
        message[7] = 1;
        memset(message + 8, 0, 4);
        memcpy(message + question, address, sizeof address);
        sendto(fd, message, question + sizeof address, 0, (struct sockaddr *)&client, length);
    }
}

static long by_resolver(void)
{
    static int server;
    struct sockaddr_storage own;
    socklen_t length;
    pthread_t thread;
    long resolved = 0;
    server = bound(AF_INET, SOCK_DGRAM, &own, &length);
    must(pthread_create(&thread, NULL, serve_names, &server) == 0 && res_init() == 0, "a name server");
    _res.nscount = 1;
    memcpy(&_res.nsaddr_list[0], &own, sizeof _res.nsaddr_list[0]);
    for (int i = 0; i < PAST; i++) {
        struct addrinfo hints = {.ai_family = AF_INET}, *found;
        if (getaddrinfo("somebody.test.", NULL, &hints, &found) != 0)
            continue;
        resolved += ((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr == htonl(0xc0000201) /* 192.0.2.1 */;
        freeaddrinfo(found);
    }
    return resolved;
}

static long receive_by(const char *way, const char *module, const int fds[2])
{
    if (strcmp(way, "local") == 0)
        return by_module(dlopen(module, RTLD_NOW | RTLD_LOCAL), fds);
    if (strcmp(way, "deep") == 0)
        return by_module(dlopen(module, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND), fds);
    if (strcmp(way, "namespace") == 0)
        return by_module(dlmopen(LM_ID_NEWLM, module, RTLD_NOW | RTLD_LOCAL), fds);
    if (strcmp(way, "resolver") == 0)
        return by_resolver();
    static const struct {
        const char *way;
        long (*receive)(const int fds[2]);
    } others[] = {
        {"raw", by_system_call}, {"stdio", by_stdio}, {"splice", by_splice}, {"preadv2", by_preadv2}, {"aio", by_aio},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(way, others[i].way) == 0)
            return others[i].receive(fds);
    return -1;
}

int main(int argc, char **argv)
{
    int fds[2], own[2];
    must(argc > 1, "a way");
    pair(SOCK_STREAM, fds);
    pair(SOCK_STREAM, own);
    long by_program = exchange(own, 5);
    say("past", receive_by(argv[1], option(argv, "module", NULL), fds));
    say("by_program", by_program + exchange(own, 5));
    say("own_fd", own[0]);
    say("past_fd", fds[0]);
    return 0;
}
