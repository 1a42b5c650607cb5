/* A datagram between fe80:: addresses, and an answer to the address that recvfrom gave. It makes a network namespace
 * with an interface of its own, and all of it goes when it ends. Status 77: namespaces are not permitted here. */
#include "victim.h"

#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

static void set_up_loopback(struct in6_addr address)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    must(ioctl(fd, SIOCSIFFLAGS, &interface) == 0, "SIOCSIFFLAGS");
    must(ioctl(fd, SIOCGIFINDEX, &interface) == 0, "SIOCGIFINDEX");
    struct in6_ifreq more = {.ifr6_addr = address, .ifr6_prefixlen = 64, .ifr6_ifindex = interface.ifr_ifindex};
    must(ioctl(fd, SIOCSIFADDR, &more) == 0, "SIOCSIFADDR");
    close(fd);
}

static int bound_to(struct sockaddr_in6 *address)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    socklen_t length = sizeof *address;
    /* The address is tentative at first: the kernel's look for duplicates ends in a work queue, on lo too. */
    while (bind(fd, (struct sockaddr *)address, length) != 0) {
        must(errno == EADDRNOTAVAIL, "bind");
        usleep(1000);
    }
    must(getsockname(fd, (struct sockaddr *)address, &length) == 0, "getsockname");
    return fd;
}

int main(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        return 77;
    struct sockaddr_in6 server = {.sin6_family = AF_INET6};
    inet_pton(AF_INET6, "fe80::1", &server.sin6_addr);
    set_up_loopback(server.sin6_addr);
    server.sin6_scope_id = if_nametoindex("lo");
    struct sockaddr_in6 client = server, from;
    int server_fd = bound_to(&server), client_fd = bound_to(&client);

    char byte = 'q';
    socklen_t length = sizeof from;
    /* Sent until it arrives: the route to a new address may come after the address. */
    struct pollfd arrival = {.fd = server_fd, .events = POLLIN};
    do {
        must(sendto(client_fd, &byte, 1, 0, (struct sockaddr *)&server, sizeof server) == 1, "sendto");
    } while (poll(&arrival, 1, 10) == 0);
    must(recvfrom(server_fd, &byte, 1, 0, (struct sockaddr *)&from, &length) == 1, "recvfrom");
    say("index", server.sin6_scope_id);
    say("scope", from.sin6_scope_id);
    say("same", from.sin6_port == client.sin6_port && memcmp(&from.sin6_addr, &client.sin6_addr, 16) == 0);
    must(sendto(server_fd, "a", 1, 0, (struct sockaddr *)&from, length) == 1, "answer");
    say("answered", recv(client_fd, &byte, 1, 0));
    return 0;
}
