/* A TCP peer that is there no more, without a word (argument 1 says how it comes out): then the receive that learns of
 * it, the next one, and the close. Status 77: namespaces are not permitted here. */
#include "victim.h"

#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>

static int fds[2]; /* [0] is the program's */

static void set(int option, int value)
{
    must(setsockopt(fds[0], IPPROTO_TCP, option, &value, sizeof value) == 0, "setsockopt");
}

static void watch(void)
{
    say("fd", fds[0]);
    dprintf(STDOUT_FILENO, "seen");
    see(fds[0], 16, 0);
    see(fds[0], 16, 0);
    dprintf(STDOUT_FILENO, "\n");
    close(fds[0]);
}

/* Every segment that arrives is dropped before TCP sees it: nothing is acknowledged from here on. */
static void deafen(int fd)
{
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog program = {1, nothing};
    must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "SO_ATTACH_FILTER");
}

static void keepalive(void)
{
    int on = 1;
    tcp_pair(fds, NULL);
    set(TCP_KEEPIDLE, 1);
    set(TCP_KEEPINTVL, 1);
    set(TCP_KEEPCNT, 1);
    deafen(fds[1]);
    must(setsockopt(fds[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0, "SO_KEEPALIVE");
    watch();
}

/* What was sent is never acknowledged. */
static void user_timeout(void)
{
    tcp_pair(fds, NULL);
    set(TCP_USER_TIMEOUT, 500);
    deafen(fds[1]);
    must(send(fds[0], "x", 1, 0) == 1, "send");
    watch();
}

/* A namespace of its own, whose lo has 10.0.0.1 and 10.0.0.2; a connection from one to the other. */
static void connect_in_a_namespace(void)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        exit(77);
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    const char *const names[] = {"lo", "lo:1", "lo:2"}, *const addresses[] = {"127.0.0.1", "10.0.0.1", "10.0.0.2"};
    for (size_t i = 0; i < 3; i++) {
        struct ifreq interface = {.ifr_flags = IFF_UP | IFF_RUNNING};
        strcpy(interface.ifr_name, names[i]);
        must(ioctl(control, SIOCSIFFLAGS, &interface) == 0 || i > 0, "SIOCSIFFLAGS");
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(addresses[i])};
        memcpy(&interface.ifr_addr, &address, sizeof address);
        must(ioctl(control, SIOCSIFADDR, &interface) == 0, "SIOCSIFADDR");
        address.sin_addr.s_addr = htonl(0xffffffff);
        memcpy(&interface.ifr_netmask, &address, sizeof address);
        must(ioctl(control, SIOCSIFNETMASK, &interface) == 0, "SIOCSIFNETMASK");
    }
    close(control);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.0.0.1")},
                       there = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.0.0.2")};
    socklen_t length = sizeof there;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&there, length) == 0 && listen(listener, 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&there, &length) == 0, "getsockname");
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(fds[0], (struct sockaddr *)&here, length) == 0, "bind");
    must(connect(fds[0], (struct sockaddr *)&there, length) == 0, "connect");
    fds[1] = accept(listener, NULL, NULL);
    must(fds[1] >= 0, "accept");
    close(listener);
}

static unsigned sent_again(void)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    must(getsockopt(fds[0], IPPROTO_TCP, TCP_INFO, &info, &length) == 0, "TCP_INFO");
    return info.tcpi_retransmits;
}

/* Once TCP has heard of the route that is, by what it sent again, however late that was made: then it is to give up. */
static void give_up(void)
{
    const unsigned before = sent_again();
    while (sent_again() == before)
        usleep(1000);
    set(TCP_USER_TIMEOUT, 1);
}

/* The peer's address goes away, with a byte of ours under way: what is sent again then finds no route. */
static void remove_the_peer(void)
{
    deafen(fds[1]);
    must(send(fds[0], "x", 1, 0) == 1, "send");
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq interface = {.ifr_name = "lo:2"};
    must(ioctl(control, SIOCSIFFLAGS, &interface) == 0, "SIOCSIFFLAGS");
    close(control);
}

/* No route is left: ENETUNREACH. */
static void no_route(void)
{
    connect_in_a_namespace();
    remove_the_peer();
    give_up();
    watch();
}

/* A route that says so: EHOSTUNREACH. */
static void unreachable(void)
{
    connect_in_a_namespace();
    remove_the_peer();
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.0.0.2")};
    struct rtentry route = {.rt_flags = RTF_UP | RTF_HOST | RTF_REJECT};
    memcpy(&route.rt_dst, &there, sizeof there);
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    must(ioctl(control, SIOCADDRT, &route) == 0, "SIOCADDRT");
    close(control);
    give_up();
    watch();
}

/* What `ss --kill` does, as an administrator would: ECONNABORTED. */
static void aborted(void)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        {sizeof message, SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
        {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[256];
    } answer;
    struct sockaddr_in here, there;
    socklen_t length = sizeof here;

    connect_in_a_namespace();
    must(getsockname(fds[0], (struct sockaddr *)&here, &length) == 0, "getsockname");
    must(getpeername(fds[0], (struct sockaddr *)&there, &length) == 0, "getpeername");
    struct inet_diag_sockid *id = &message.request.id;
    *id = (struct inet_diag_sockid){.idiag_sport = here.sin_port,
                                    .idiag_dport = there.sin_port,
                                    .idiag_src = {here.sin_addr.s_addr},
                                    .idiag_dst = {there.sin_addr.s_addr},
                                    .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}};
    int control = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    must(write(control, &message, sizeof message) == sizeof message, "SOCK_DESTROY");
    must(read(control, &answer, sizeof answer) > 0, "SOCK_DESTROY");
    if (answer.error.error == -EOPNOTSUPP)
        exit(77);
    errno = -answer.error.error;
    must(errno == 0, "SOCK_DESTROY");
    close(control);
    watch();
}

static const struct way ways[] = {
    {"keepalive", keepalive},     {"user-timeout", user_timeout}, {"no-route", no_route},
    {"unreachable", unreachable}, {"aborted", aborted},
};

int main(int argc, char **argv)
{
    (void)argc;
    return show_way(ways, sizeof ways / sizeof ways[0], argv);
}
