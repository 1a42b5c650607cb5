/* read and readv of what is no socket, of sockets whose numbers were files', and of files whose numbers were sockets':
 * no_socket WAY. */
#include "allow.h"
#include "victim.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

static void on_alarm(int signal)
{
    (void)signal;
}

static ssize_t read_both(int fd, char *buffer, size_t length)
{
    struct iovec pieces[2] = {{buffer, 1}, {buffer + 1, length - 1}};
    ssize_t one = read(fd, buffer, length), other = readv(fd, pieces, 2);
    return one < 0 || other < 0 ? -1 : one + other;
}

static void show_files(void)
{
    char buffer[8];
    int fds[2], file = open("/dev/zero", O_RDONLY);
    must(pipe(fds) == 0 && write(fds[1], "0123456789abcdef", 16) == 16, "pipe");
    say("file", read_both(file, buffer, sizeof buffer));
    say("pipe", read_both(fds[0], buffer, sizeof buffer));
    handle(SIGALRM, on_alarm, 0);
    tick(10000);
    say("interrupted", read(fds[0], buffer, 1) < 0 && errno == EINTR); /* as nobody retries it */
    tick(0);
}

/* A pipe that is taken for a socket first, as by programs that try recv before they read. From the second read on under
 * a filter that nobody was told of, and that kills for anything but reads. */
static void show_tried(void)
{
    struct sock_filter code[] = {LOAD_NUMBER, ALLOW(read), ALLOW(readv), ALLOW(write), ALLOW(exit_group), ELSE_KILL};
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    char buffer[8];
    int fds[2];
    must(pipe(fds) == 0 && write(fds[1], "0123456789abcdef", 16) == 16, "pipe");
    say("tried", recv(fds[0], buffer, 1, 0) < 0 && errno == ENOTSOCK);
    say("pipe", read(fds[0], buffer, 4));
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    must(past_libc(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)(intptr_t)&program) == 0, "PR_SET_SECCOMP");
    say("pipe", read_both(fds[0], buffer, 4));
}

/* A number that goes round: what it is now counts, however it was closed. */
static void show_reused(void)
{
    char buffer[16];
    int fds[2];
    say("here", 0);
    for (int way = 0; way < 5; way++) {
        int file = open("/dev/zero", O_RDONLY);
        must(file >= 0 && read(file, buffer, 1) == 1, "/dev/zero");
        close(file);
        pair(SOCK_STREAM, fds);
        must(fds[0] == file, "the same number");
        must(send(fds[1], "socket", 6, 0) == 6, "send");
        say("socket", read(fds[0], buffer, sizeof buffer));
        if (way == 0) {
            close(fds[0]);
        } else if (way == 1) {
            FILE *stream = fdopen(fds[0], "r");
            must(stream != NULL && fclose(stream) == 0, "fclose");
        } else if (way == 2) {
            syscall(SYS_close, fds[0]);
        } else if (way == 3) {
            close_range((unsigned)fds[0], (unsigned)fds[0], 0);
        } else {
            int other = open("/dev/zero", O_RDONLY);
            must(dup2(other, fds[0]) == fds[0], "dup2");
            say("file", read(fds[0], buffer, 1));
            close(other);
            close(fds[0]);
        }
        file = open("/dev/zero", O_RDONLY);
        must(file == fds[0], "the same number");
        say("file", read(file, buffer, sizeof buffer));
        close(file);
        close(fds[1]);
    }
}

/* A socket that came from elsewhere, under a number of which a file was read: over SCM_RIGHTS. */
static void show_passed(void)
{
    int channel[2], fds[2];
    char buffer[16];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec piece = {buffer, 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    pair(SOCK_DGRAM, channel);
    pair(SOCK_STREAM, fds);
    must(send(fds[1], "socket", 6, 0) == 6, "send");
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fds[0], sizeof(int));
    must(sendmsg(channel[1], &message, 0) == 1, "sendmsg");
    int file = open("/dev/zero", O_RDONLY);
    must(read(file, buffer, 1) == 1, "/dev/zero");
    syscall(SYS_close_range, file, file, 0); /* in a way that nothing notes */
    message.msg_controllen = sizeof control;
    must(recvmsg(channel[0], &message, 0) == 1, "recvmsg");
    int passed;
    memcpy(&passed, CMSG_DATA(&control.header), sizeof passed);
    must(passed == file, "the same number");
    say("passed", read(passed, buffer, sizeof buffer));
    say("fd", passed);
}

/* Sockets that a system call puts files in the place of, as daemon() does with the standard streams. */
static void show_replaced(void)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    char buffer[16];
    int fds[2];
    handle(SIGALRM, on_alarm, 0);
    for (int i = 0; i < 2; i++) {
        int number = socket(AF_INET, types[i], 0);
        must(past_libc(SYS_dup3, open("/dev/zero", O_RDONLY), number, 0) == number, "dup3");
        say("fd", number);
        errno = 4242;
        say("file", read_both(number, buffer, sizeof buffer));
        must(errno == 4242, "errno survives");
        close(number);

        number = socket(AF_INET, types[i], 0);
        must(pipe(fds) == 0 && past_libc(SYS_dup3, fds[0], number, 0) == number, "dup3");
        tick(10000);
        say("interrupted", read(number, buffer, 1) < 0 && errno == EINTR);
        tick(0);
        close(number);
    }
}

/* Duplicates of more files than sockets may have; then two sockets under the files' numbers, in turn, of whose receives
 * a rule counts each. */
static void show_copies(void)
{
    struct rlimit limit = {2000, 2000};
    char byte;
    int fds[2], failed = 0;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
    for (int i = 0; i < 600; i++) {
        int files[2] = {open("/dev/zero", O_RDONLY), open("/dev/zero", O_RDONLY)};
        for (int j = 0; j < 2; j++)
            must(read(files[j], &byte, 1) == 1 && fcntl(files[j], F_DUPFD, 500) >= 500, "F_DUPFD");
        close(files[0]);
        close(files[1]);
    }
    pair(SOCK_STREAM, fds);
    for (int i = 0; i < 8; i++) {
        must(send(fds[i % 2], "x", 1, 0) == 1, "send");
        failed += read(fds[1 - i % 2], &byte, 1) < 0;
    }
    say("failed", failed);
}

/* A number that was read while nothing was there, and is a socket's that came in a way that nothing notes. */
static void show_closed(void)
{
    char byte;
    int fds[2], number = 100;
    say("closed", read(number, &byte, 1) < 0 ? errno : 0);
    pair(SOCK_STREAM, fds);
    must(syscall(SYS_dup3, fds[0], number, 0) == number, "dup3");
    must(send(fds[1], "x", 1, 0) == 1, "send");
    say("socket", read(number, &byte, 1));
}

/* Streams that have no descriptor are closed without an error. */
static void show_memory(void)
{
    char text[] = "text", *grown;
    size_t size;
    FILE *streams[] = {fmemopen(text, sizeof text, "r"), open_memstream(&grown, &size), fopen("/dev/null", "r")};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        errno = 4242;
        say("closed", fclose(streams[i]));
        say("errno", errno);
    }
    free(grown);
}

/* A request that is refused for its length, of datagrams: they are still there. */
static void show_long(void)
{
    struct sockaddr_storage to;
    socklen_t length;
    char buffer[8];
    int fd = bound(AF_INET, SOCK_DGRAM, &to, &length);
    static volatile const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 2};
    must(sendto(fd, "12345", 5, 0, (struct sockaddr *)&to, length) == 5, "sendto");
    wait_for(fd, POLLIN);
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "F_SETFL");
    for (int i = 0; i < 3; i++)
        say("refused", read(fd, buffer, lengths[i]) < 0 ? errno : 0);
    say("there", read(fd, buffer, sizeof buffer));
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"files", show_files},   {"reused", show_reused},     {"passed", show_passed},
                                      {"long", show_long},     {"replaced", show_replaced}, {"closed", show_closed},
                                      {"copies", show_copies}, {"memory", show_memory},     {"tried", show_tried}};
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
