#include "query.h"

#include "address.h"
#include "hot.h"
#include "next.h"
#include "vfork.h"

#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Relaxed: a switch that orders nothing. Off until the constructor has run. */
HOT static _Atomic bool allowed;
static _Atomic bool filtered;
static bool unconditional;

void query_start(enum lookup_policy policy, bool wanted)
{
    unconditional = policy == LOOKUP_ON;
    bool inherited = !unconditional && prctl(PR_GET_SECCOMP) > SECCOMP_MODE_DISABLED;
    atomic_store_explicit(&filtered, inherited, memory_order_relaxed);
    atomic_store_explicit(&allowed, wanted && policy != LOOKUP_OFF && !inherited, memory_order_relaxed);
}

void query_filter_announced(void)
{
    if (unconditional)
        return;
    if (vfork_in_child()) {
        vfork_nesting.filtered = true; /* stays: a child more or less that is not asked for is no matter */
    } else {
        atomic_store_explicit(&filtered, true, memory_order_relaxed);
        atomic_store_explicit(&allowed, false, memory_order_relaxed);
    }
}

/* Programs also try it with nothing to install, to learn whether the kernel knows of filters: Firefox and Chromium by
 * prctl, libseccomp by seccomp. As the kernel takes it, what is above an int may be left over from anything. */
void query_system_call(long number, long first, long second, long third)
{
    const unsigned int operation = (unsigned int)first;
    bool installs = false;
    if (number == SYS_prctl && operation == PR_SET_SECCOMP)
        installs = (unsigned int)second != SECCOMP_MODE_FILTER || third != 0;
    else if (number == SYS_seccomp && operation == SECCOMP_SET_MODE_STRICT)
        installs = (unsigned int)second == 0;
    else if (number == SYS_seccomp && operation == SECCOMP_SET_MODE_FILTER)
        installs = third != 0;
    if (installs)
        query_filter_announced();
}

static bool filtered_in_child(void)
{
    return thread_self.vfork_depth != 0 && vfork_nesting.filtered;
}

bool query_filtered(void)
{
    return atomic_load_explicit(&filtered, memory_order_relaxed) || filtered_in_child();
}

bool query_allowed(void)
{
    return atomic_load_explicit(&allowed, memory_order_relaxed) && !filtered_in_child();
}

/* Past our own definition, which would take it for the program's. */
static int ask(int fd, int level, int option, void *value, socklen_t *length)
{
    next_getsockopt_function *next = next_getsockopt();
    return next != NULL ? next(fd, level, option, value, length) : -1;
}

int query_type(int fd, int *domain)
{
    int type = 0;
    socklen_t length = sizeof type;
    *domain = 0;
    if (ask(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return 0;
    length = sizeof *domain;
    ask(fd, SOL_SOCKET, SO_DOMAIN, domain, &length); /* else it stays 0 */
    return type;
}

/* Past libc: its poll is a cancellation point. */
bool query_hung_up(int fd)
{
    struct pollfd socket = {.fd = fd, .events = POLLRDHUP};
    struct timespec at_once = {0};
    return syscall(SYS_ppoll, &socket, 1, &at_once, NULL, 0) == 1 && (socket.revents & (POLLRDHUP | POLLHUP)) != 0;
}

void query_endpoints(int fd, bool peer, struct endpoints *endpoints)
{
    union {
        struct sockaddr any;
        struct sockaddr_in6 inet6;
        struct sockaddr_un unix_path;
    } name;
    struct recvshim_address local = {0};
    socklen_t length = sizeof name;
    /* libc's own: tsocks goes on with its handshake when it is asked. */
    if (peer && next_libc_getpeername(fd, &name.any, &length) == 0 &&
        address_take(&name.any, length < sizeof name ? length : sizeof name, &endpoints->peer))
        endpoints->known |= RECVSHIM_RESULT_PEER;
    length = sizeof name;
    if (getsockname(fd, &name.any, &length) == 0 &&
        address_take(&name.any, length < sizeof name ? length : sizeof name, &local) &&
        ((endpoints->known & RECVSHIM_RESULT_PEER) == 0 || endpoints->peer.family == local.family)) {
        endpoints->peer.family = local.family;
        endpoints->local_port = local.port;
        memcpy(endpoints->local_address, local.bytes, sizeof endpoints->local_address);
        endpoints->known |= RECVSHIM_RESULT_LOCAL;
    }
}

bool query_tcp(int fd, struct recvshim_tcp *tcp)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    /* Every TCP has a segment size; socket_wrapper's, which is made up, and always established, has none. */
    if (ask(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || info.tcpi_snd_mss == 0)
        return false;
    *tcp = (struct recvshim_tcp){
        .rtt = info.tcpi_rtt,
        .retransmits = (uint16_t)(info.tcpi_total_retrans < UINT16_MAX ? info.tcpi_total_retrans : UINT16_MAX),
        .state = info.tcpi_state,
        .unacked = (uint8_t)(info.tcpi_unacked < UINT8_MAX ? info.tcpi_unacked : UINT8_MAX),
    };
    return true;
}

/* To set SO_RCVLOWAT, also to what it is, ends in sk_data_ready: tcp_set_rcvlowat. */
void query_announce(int fd)
{
    int mark;
    socklen_t length = sizeof mark;
    next_setsockopt_function *next = next_setsockopt();
    if (next != NULL && ask(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, &length) == 0)
        next(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, length);
}
