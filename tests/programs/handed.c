/* Descriptors are handed over a unix socket to another process, which had used their numbers for connections of its own
 * a moment ago: one in a message and several, by recvmsg and by recvmmsg. */
#include "tagged.h"

#include <dlfcn.h>
#include <stdalign.h>
#include <sys/wait.h>

enum { TOGETHER = 3, HANDED_BYTES = 2 };

struct parcel {
    struct iovec data;
    long tags[TOGETHER];
    alignas(struct cmsghdr) char control[CMSG_SPACE(TOGETHER * sizeof(int))];
};

static struct msghdr message_of(struct parcel *parcel)
{
    parcel->data = (struct iovec){parcel->tags, sizeof parcel->tags};
    return (struct msghdr){.msg_iov = &parcel->data,
                           .msg_iovlen = 1,
                           .msg_control = parcel->control,
                           .msg_controllen = sizeof parcel->control};
}

static void hand_over(int carrier, const struct tagged *connections, size_t count)
{
    struct parcel parcel;
    int fds[TOGETHER];
    memset(&parcel, 0, sizeof parcel);
    for (size_t i = 0; i < count; i++) {
        fds[i] = connections[i].fd;
        parcel.tags[i] = connections[i].tag;
    }
    struct msghdr message = message_of(&parcel);
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, count * sizeof(int));
    must(sendmsg(carrier, &message, 0) == sizeof parcel.tags, "sendmsg");
}

/* Use what came, and give the numbers free. */
static void use(struct msghdr *message, const struct parcel *parcel, int expected)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    must(header != NULL && header->cmsg_type == SCM_RIGHTS, "SCM_RIGHTS");
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[TOGETHER];
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    must(fds[0] == expected, "the number is used anew");
    for (size_t i = 0; i < count; i++)
        for (ssize_t got = 0; got < HANDED_BYTES; got += tagged_receive(fds[i], parcel->tags[i]))
            ;
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* Connections of its own, closed again: what is known of these numbers must not speak for what comes. Some are closed
 * by libc itself, as its own functions do it. */
static int use_numbers(void)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    int (*close_in_libc)(int) = (int (*)(int))(uintptr_t)dlsym(libc, "close");
    must(close_in_libc != NULL, "libc's close");
    int first = 0;
    struct tagged own[2 * TOGETHER];
    for (int i = 0; i < 2 * TOGETHER; i++) {
        own[i] = i % 2 == 0 ? tagged_unix(SOCK_DGRAM) : tagged_tcp();
        tagged_exchange(&own[i]);
        first = i == 0 ? own[i].fd : first;
    }
    for (int i = 0; i < 2 * TOGETHER; i++) {
        if (i < TOGETHER)
            close_in_libc(own[i].fd);
        else
            close(own[i].fd);
        close(own[i].peer);
    }
    return first;
}

static void take_all(int carrier)
{
    static struct parcel parcels[2];
    for (int i = 0; i < 2; i++) {
        int first = use_numbers();
        struct msghdr message = message_of(&parcels[0]);
        must(recvmsg(carrier, &message, 0) > 0, "recvmsg");
        use(&message, &parcels[0], first);
    }
    int first = use_numbers();
    struct mmsghdr messages[2] = {{message_of(&parcels[0]), 0}, {message_of(&parcels[1]), 0}};
    must(recvmmsg(carrier, messages, 2, MSG_WAITFORONE, NULL) == 2, "recvmmsg");
    /* The second's come while the first's are still there. */
    use(&messages[1].msg_hdr, &parcels[1], first + TOGETHER);
    use(&messages[0].msg_hdr, &parcels[0], first);
}

int main(void)
{
    int carrier[2];
    struct tagged connections[10];
    pair(SOCK_SEQPACKET, carrier);
    for (int i = 0; i < 10; i++) {
        connections[i] = i % 3 == 2 ? tagged_unix(SOCK_STREAM) : tagged_tcp();
        must(send(connections[i].peer, "x", 1, 0) == 1, "send");
        must(tagged_receive(connections[i].fd, connections[i].tag) == 1, "receive");
    }
    /* All that goes over them from here on is for the other process. */
    static const size_t parts[] = {1, TOGETHER, TOGETHER, TOGETHER};
    pid_t taker = fork();
    if (taker == 0) {
        closefrom(carrier[0] + 2); /* knows nothing of them */
        take_all(carrier[0]);
        _exit(0);
    }
    for (size_t part = 0, at = 0; part < 4; at += parts[part++])
        hand_over(carrier[1], &connections[at], parts[part]);
    for (int i = 0; i < 10; i++)
        must(send(connections[i].peer, "xy", HANDED_BYTES, 0) == HANDED_BYTES, "send");
    int status;
    must(waitpid(taker, &status, 0) == taker && status == 0, "taker");
    return 0;
}
