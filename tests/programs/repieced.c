/* A readv (call=readv) or recvmsg (call=recvmsg) whose pieces another thread changes once it waits: the second is
 * longer afterwards, the first is another buffer. Then the data comes, which the kernel puts where the pieces were. */
#include "by_call.h"

static const char *call;
static char here[4], elsewhere[4], more[100];
static struct iovec pieces[2] = {{here, sizeof here}, {more, 4}};
static int fds[2];

static void *change(void *unused)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)getpid());
    wait_until_blocked(path, IN_RECEIVE);
    pieces[0].iov_base = elsewhere;
    pieces[1].iov_len = sizeof more;
    must(send(fds[1], "datamore", 8, 0) == 8, "send");
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    pthread_t thread;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    call = option(argv, "call", "readv");
    pair(SOCK_STREAM, fds);
    must(pthread_create(&thread, NULL, change, NULL) == 0, "pthread_create");
    say("result", strcmp(call, "readv") == 0 ? readv(fds[0], pieces, 2) : recvmsg(fds[0], &message, 0));
    pthread_join(thread, NULL);
    say("here", memcmp(here, "data", sizeof here) == 0);
    say("elsewhere", memcmp(elsewhere, "\0\0\0\0", sizeof elsewhere) == 0);
    say("more", memcmp(more, "more", 5) == 0);
    return 0;
}
