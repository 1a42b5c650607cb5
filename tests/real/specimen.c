/* A program to be looked at, built in as many ways as there are kinds of programs.
 *
 *   specimen             says "hi"
 *   specimen wait        says "ready", and "bye" once its standard input ends
 *   specimen title       the same, having overwritten its environment as servers do that set their title
 *   specimen filter      the same, under a filter of seccomp that allows everything
 *   specimen load FILE   the same, with a plugin loaded
 *   specimen get PORT    says how many bytes it received from loopback */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __GLIBC__ /* musl is installed without the kernel's headers */
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif
#ifdef PLUGINS
#include <dlfcn.h>
#endif
#ifdef RING
#include <liburing.h>
#endif

extern char **environ;

static ssize_t receive(int fd, char *buffer, size_t size)
{
#if defined BY_READ
    return read(fd, buffer, size);
#elif defined RING
    struct io_uring ring;
    struct io_uring_cqe *done;
    if (io_uring_queue_init(2, &ring, 0) != 0)
        return read(fd, buffer, size);
    io_uring_prep_recv(io_uring_get_sqe(&ring), fd, buffer, size, 0);
    io_uring_submit(&ring);
    ssize_t got = io_uring_wait_cqe(&ring, &done) == 0 ? done->res : -1;
    io_uring_queue_exit(&ring);
    return got;
#else
    return recv(fd, buffer, size, 0);
#endif
}

static int get(int port)
{
    char buffer[4096];
    size_t sum = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 1;
    for (ssize_t got; (got = receive(fd, buffer, sizeof buffer)) > 0;)
        sum += (size_t)got;
    printf("%zu\n", sum);
    return 0;
}

static int wait_for_end(void)
{
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    puts("bye");
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
#ifdef RING
    static struct io_uring ring;
    if (strcmp(mode, "wait") == 0)
        io_uring_queue_init(2, &ring, 0);
#endif
#ifdef PLUGINS
    if (strcmp(mode, "load") == 0 && dlopen(argv[2], RTLD_NOW) == NULL)
        return 1;
#endif
    if (strcmp(mode, "get") == 0)
        return get(atoi(argv[2]));
#ifdef __GLIBC__
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {1, &allow};
    if (strcmp(mode, "filter") == 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0))
        return 1;
#endif
    if (strcmp(mode, "title") == 0)
        for (char **entry = environ; *entry != NULL; entry++)
            memset(*entry, 'x', strlen(*entry));
    if (*mode != '\0')
        return wait_for_end();
    puts("hi");
    return 0;
}
