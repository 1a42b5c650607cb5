/* Each kind of receive, once for each size. Built plainly and with _FORTIFY_SOURCE=2, which makes __recv_chk and
 * __recvfrom_chk of the same calls: `length` is volatile, so that the compiler cannot see that it fits. */
#include "victim.h"

static const size_t sizes[] = {1, 7, 64, 500};

int main(void)
{
    char buffer[512] = "";
    volatile size_t length = sizeof buffer;
    int tcp[2];
    tcp_pair(tcp, NULL);
    struct sockaddr_storage to, from;
    socklen_t to_length, from_length;
    int udp = bound(AF_INET6, SOCK_DGRAM, &to, &to_length);
    long long by_recv = 0, by_recvfrom = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        must(send(tcp[1], buffer, sizes[i], 0) == (ssize_t)sizes[i], "send");
        by_recv += recv(tcp[0], buffer, length, 0);

        must(sendto(udp, buffer, sizes[i], 0, (struct sockaddr *)&to, to_length) == (ssize_t)sizes[i], "sendto");
        wait_for(udp, POLLIN);
        from_length = sizeof from;
        by_recvfrom += recvfrom(udp, buffer, length, MSG_DONTWAIT, (struct sockaddr *)&from, &from_length);
    }
    say("pid", getpid());
    say("tid", gettid_now());
    say("recv_fd", tcp[0]);
    say("recv_bytes", by_recv);
    say("recvfrom_fd", udp);
    say("recvfrom_bytes", by_recvfrom);
    say("port", ntohs(((struct sockaddr_in6 *)&from)->sin6_port));
    return 3; /* a status of its own, which must come through */
}
