/* Descriptors of one socket, by each call that makes them: used, closed one after another, and replaced by others. */
#include "tagged.h"

enum { COPIES = 6 };

static void use(const struct tagged *connection, int fd)
{
    must(send(connection->peer, "x", 1, 0) == 1, "send");
    must(tagged_receive(fd, connection->tag) == 1, "receive");
}

int main(void)
{
    struct tagged first = tagged_tcp(), second = tagged_tcp(), third = tagged_unix(SOCK_STREAM);
    use(&first, first.fd);
    use(&second, second.fd);
    use(&third, third.fd);
    say("first", first.tag);

    int copies[COPIES] = {first.fd, dup(first.fd), fcntl(first.fd, F_DUPFD, 100), fcntl(first.fd, F_DUPFD_CLOEXEC, 0),
                          /* Over two that are connections themselves, and are closed by it. */
                          dup2(first.fd, second.fd), dup3(first.fd, third.fd, O_CLOEXEC)};
    must(copies[4] == second.fd && copies[5] == third.fd, "dup");
    must(dup2(first.fd, first.fd) == first.fd, "dup2 of itself changes nothing");
    must(dup2(-1, first.fd) == -1, "dup2 that fails changes nothing");
    for (int i = 0; i < COPIES; i++)
        use(&first, copies[i]);

    /* The one it was copied from goes, and its number comes back as another connection. */
    close(first.fd);
    struct tagged fourth = tagged_unix(SOCK_STREAM);
    must(fourth.fd == first.fd, "the number is used anew");
    use(&fourth, fourth.fd);
    for (int i = 1; i < COPIES; i++)
        use(&first, copies[i]);

    /* A copy's number too, while others live on. */
    close(copies[1]);
    struct tagged fifth = tagged_unix(SOCK_STREAM);
    must(fifth.fd == copies[1], "the number is used anew");
    use(&fifth, fifth.fd);
    use(&first, copies[2]);
    must(dup2(fifth.fd, copies[2]) == copies[2], "dup2");
    use(&fifth, copies[2]);
    use(&first, copies[3]);

    /* The end, once, through whichever; then of each copy nothing new. */
    close(first.peer);
    must(tagged_receive(copies[3], first.tag) == 0, "eof");
    must(tagged_receive(copies[4], first.tag) == 0, "eof");
    return 0;
}
