/* What recvmsg and recvmmsg do beyond the other receives: messages WAY. */
#include "ticks.h"

#include <dirent.h>
#include <sys/mman.h>

static atomic_int interruptions;

static void on_alarm(int signal)
{
    (void)signal;
    interruptions++;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *entries = opendir("/proc/self/fd");
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

/* Two descriptors and the sender's credentials, in room for all, for one descriptor, and for nothing. */
static void show_ancillary(void)
{
    static const size_t rooms[] = {128, CMSG_SPACE(sizeof(int)), 0};
    int channel[2], on = 1;
    pair(SOCK_DGRAM, channel);
    must(setsockopt(channel[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0, "SO_PASSCRED");
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        char buffer[4] = "";
        _Alignas(struct cmsghdr) char control[128] = "";
        int both[2] = {STDOUT_FILENO, STDERR_FILENO};
        struct iovec text = {"0123456", 7}, piece = {buffer, sizeof buffer};
        struct msghdr out = {
            .msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof both)};
        struct cmsghdr *header = CMSG_FIRSTHDR(&out);
        *header =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof both)};
        memcpy(CMSG_DATA(header), both, sizeof both);
        must(sendmsg(channel[1], &out, 0) == 7, "sendmsg");
        struct sockaddr_storage name;
        struct msghdr in = {.msg_name = &name,
                            .msg_namelen = sizeof name,
                            .msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = rooms[i],
                            .msg_flags = 0x7777};
        say("result", recvmsg(channel[0], &in, i == 1 ? MSG_CMSG_CLOEXEC : 0));
        say("flags", in.msg_flags);
        say("control", (long long)in.msg_controllen);
        say("name", in.msg_namelen);
        for (header = CMSG_FIRSTHDR(&in); header != NULL; header = CMSG_NXTHDR(&in, header))
            say("type", header->cmsg_level * 100 + header->cmsg_type);
    }
    say("descriptors", count_descriptors());
}

static void send_rights(int fd, char byte, const int *rights, size_t count)
{
    _Alignas(struct cmsghdr) char control[64] = "";
    struct iovec piece = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
    memcpy(CMSG_DATA(header), rights, count * sizeof(int));
    must(sendmsg(fd, &message, 0) == 1, "sendmsg");
}

/* Descriptors with datagrams of which faults may take some: what arrives is closed, and none is left over. */
static void show_rights(void)
{
    enum { MESSAGES = 20 };
    int channel[2], before, arrived = 0;
    pair(SOCK_DGRAM, channel);
    before = count_descriptors();
    for (int i = 0; i < MESSAGES; i++) {
        char byte = (char)i, control[CMSG_SPACE(sizeof(int))] = "";
        struct iovec piece = {&byte, 1};
        struct msghdr message = {
            .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        send_rights(channel[1], byte, &channel[1], 1);
        if (recvmsg(channel[0], &message, MSG_DONTWAIT) < 0)
            continue;
        arrived++;
        say("byte", byte);
        must(message.msg_controllen == sizeof control, "room for a descriptor");
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        close(fd);
    }
    say("arrived", arrived);
    say("left_over", count_descriptors() - before);
}

static void *receive_rights(void *fd)
{
    char byte;
    _Alignas(struct cmsghdr) char control[64] = "";
    struct iovec piece = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    recvmsg((int)(intptr_t)fd, &message, 0);
    return NULL;
}

/* Three descriptors in a message that a fault takes, in a thread that is cancelled meanwhile. */
static void show_cancelled(void)
{
    int channel[2], before;
    pthread_t thread;
    void *result;
    pair(SOCK_DGRAM, channel);
    send_rights(channel[1], 'x', (int[]){0, 1, 2}, 3);
    before = count_descriptors();
    must(pthread_create(&thread, NULL, receive_rights, (void *)(intptr_t)channel[0]) == 0, "pthread_create");
    pthread_join(thread, &result);
    say("cancelled", result == PTHREAD_CANCELED);
    say("left_over", count_descriptors() - before);
}

enum { BATCH = 8, ROOM = 16 };

struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    struct sockaddr_in6 sources[BATCH];
    char bytes[BATCH][ROOM];
};

static void prepare(struct batch *batch)
{
    memset(batch, 0, sizeof *batch);
    for (int i = 0; i < BATCH; i++) {
        batch->pieces[i] = (struct iovec){batch->bytes[i], ROOM};
        batch->messages[i].msg_hdr = (struct msghdr){.msg_name = &batch->sources[i],
                                                     .msg_namelen = sizeof batch->sources[i],
                                                     .msg_iov = &batch->pieces[i],
                                                     .msg_iovlen = 1};
    }
}

static void tell(const struct batch *batch, int count, in_port_t first_port)
{
    say("count", count);
    for (int i = 0; i < count; i++) {
        say("length", batch->messages[i].msg_len);
        say("truncated", batch->messages[i].msg_hdr.msg_flags & MSG_TRUNC);
        say("name", batch->messages[i].msg_hdr.msg_namelen);
        say("first", batch->sources[i].sin6_port == first_port);
        say("byte", batch->bytes[i][0]);
    }
}

/* Five datagrams of two sources, one of them too long and one empty. */
static void show_batch(void)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    struct sockaddr_storage to, names[2];
    socklen_t length, name_length;
    int receiver = bound(AF_INET6, SOCK_DGRAM, &to, &length), senders[2];
    struct batch batch;
    for (int i = 0; i < 2; i++)
        senders[i] = bound(AF_INET6, SOCK_DGRAM, &names[i], &name_length);
    for (int i = 0; i < 5; i++) {
        size_t size = i == 2 ? 20 : i == 3 ? 0 : (size_t)i + 1;
        send_and_await(senders[i % 2], text + i, size, receiver, &to, length);
    }
    prepare(&batch);
    say("fd", receiver);
    errno = 4242;
    int count = recvmmsg(receiver, batch.messages, BATCH, MSG_DONTWAIT, NULL);
    must(errno == 4242, "errno survives");
    tell(&batch, count, ((struct sockaddr_in6 *)&names[0])->sin6_port);
    must(sendto(senders[0], "z", 1, 0, (struct sockaddr *)&to, length) == 1, "sendto");
    prepare(&batch);
    tell(&batch, recvmmsg(receiver, batch.messages, BATCH, MSG_WAITFORONE, NULL),
         ((struct sockaddr_in6 *)&names[0])->sin6_port);
    say("empty", recvmmsg(receiver, batch.messages, BATCH, MSG_DONTWAIT, NULL) < 0 ? errno : 0);
}

/* A batch that was waited for, and one datagram more. */
static void show_together(void)
{
    int fds[2];
    struct batch batch;
    char byte;
    pair(SOCK_DGRAM, fds);
    for (int i = 0; i <= BATCH; i++)
        must(send(fds[1], "0123456789", 10, 0) == 10, "send");
    prepare(&batch);
    say("count", recvmmsg(fds[0], batch.messages, BATCH, 0, NULL));
    say("recv", recv(fds[0], &byte, 1, 0) < 0 ? -errno : 1);
}

/* After an interruption, and after the timeout, which began before that. */
static void *send_late(void *fd)
{
    while (interruptions == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
    must(send((int)(intptr_t)fd, "late", 4, 0) == 4, "send");
    return NULL;
}

/* Interrupted before the first message, under a timeout that is over when it comes: it alone is returned. */
static void show_timeout(void)
{
    int fds[2];
    struct batch batch;
    struct timespec timeout = {.tv_nsec = 50000000};
    pair(SOCK_DGRAM, fds);
    handle(SIGALRM, on_alarm, 0);
    prepare(&batch);
    pthread_t thread = start_undisturbed(send_late, (void *)(intptr_t)fds[1]);
    begin_ticks(10000);
    int count = recvmmsg(fds[0], batch.messages, BATCH, 0, &timeout);
    end_ticks();
    pthread_join(thread, NULL);
    say("count", count);
    say("length", batch.messages[0].msg_len);
    say("left", timeout.tv_sec * 1000000000LL + timeout.tv_nsec);
}

/* Messages that are there, under a timeout of which something is left. */
static void show_left(void)
{
    int fds[2], count = 0, receives = 0, shrinks = 0;
    struct batch batch;
    struct timespec timeout = {.tv_sec = 1000}, before;
    pair(SOCK_DGRAM, fds);
    for (int i = 0; i < 4; i++)
        must(send(fds[1], "x", 1, 0) == 1, "send");
    prepare(&batch);
    for (; count < 4; receives++) {
        before = timeout;
        int received = recvmmsg(fds[0], batch.messages, (unsigned)(4 - count), 0, &timeout);
        must(received > 0, "recvmmsg");
        count += received;
        shrinks += timeout.tv_sec < before.tv_sec || timeout.tv_nsec < before.tv_nsec;
    }
    say("count", count);
    say("shrinks", shrinks == receives);
}

/* An array that ends before its count says, which the kernel does not come to. */
static void show_beyond(void)
{
    struct sockaddr_storage to;
    socklen_t length;
    char byte, *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec piece = {&byte, 1};
    struct mmsghdr *last = (struct mmsghdr *)(void *)(pages + 4096 - sizeof *last);
    struct timespec over = {0};
    int fd = bound(AF_INET, SOCK_DGRAM, &to, &length);
    must(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0, "mmap");
    must(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, length) == 1, "sendto");
    last->msg_hdr = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
    say("count", recvmmsg(fd, last, 1024, 0, &over));
}

/* MSG_WAITFORONE on a socket that refuses flags it does not know. */
static void show_packets(void)
{
    struct batch batch;
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    prepare(&batch);
    errno = 0;
    must(fd < 0 || recvmmsg(fd, batch.messages, BATCH, MSG_WAITFORONE | MSG_DONTWAIT, NULL) < 0, "nothing there");
    say("error", errno); /* EPERM for those who may not have one */
}

/* A stream's end, which every message of a batch is told. */
static void show_end(void)
{
    int fds[2];
    struct batch batch;
    tcp_pair(fds, NULL);
    must(send(fds[1], "abc", 3, 0) == 3 && shutdown(fds[1], SHUT_WR) == 0, "send");
    wait_for(fds[0], POLLRDHUP);
    prepare(&batch);
    tell(&batch, recvmmsg(fds[0], batch.messages, 3, 0, NULL), 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    static const struct way ways[] = {{"ancillary", show_ancillary}, {"rights", show_rights},
                                      {"cancelled", show_cancelled}, {"batch", show_batch},
                                      {"timeout", show_timeout},     {"left", show_left},
                                      {"together", show_together},   {"packets", show_packets},
                                      {"beyond", show_beyond},       {"end", show_end}};
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
