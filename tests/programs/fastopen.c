/* A client of TCP that connects by its first send: DNS servers do. Five bytes come back. */
#include "tagged.h"

int main(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    int listener = bound(AF_INET, SOCK_STREAM, &address, &length);
    must(listen(listener, 1) == 0, "listen");
    int client = socket(AF_INET, SOCK_STREAM, 0);
    must(sendto(client, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, length) == 1, "MSG_FASTOPEN");
    struct tagged connection = {client, accept(listener, NULL, NULL), port_of(client, true)};
    must(connection.peer >= 0, "accept");
    for (int i = 0; i < 5; i++)
        tagged_exchange(&connection);
    say("port", connection.tag);
    return 0;
}
