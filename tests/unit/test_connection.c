#include "connection.h"

#include <criterion/criterion.h>
#include <sys/socket.h>

/* Criterion runs each test in a process of its own: every table is a new one. Numbers stand for descriptors: no kernel
 * is asked. */

static uint64_t id_of(int fd)
{
    return connection_id(connection_word(fd));
}

static int type_of(int fd)
{
    return connection_type(connection_word(fd));
}

static uint64_t bits_of(int fd)
{
    return connection_word(fd) & CONNECTION_BITS & ~CONNECTION_DUPLICATED;
}

Test(connection, unknown_descriptors)
{
    cr_expect(connection_may_time_out(7), "inherited: anything may be set on it");
    cr_expect_eq(id_of(7), 0);
    cr_expect_eq(connection_identify(7, 5), 5);
    cr_expect_eq(connection_identify(7, 6), 5, "the first stays");
    cr_expect_eq(id_of(7), 5);
    cr_expect(connection_may_time_out(7), "an id tells nothing of a time-out");
    connection_learnt(7, 4, AF_INET, SOCK_DGRAM);
    cr_expect_eq(type_of(7), 0, "of another connection");
    connection_learnt(7, 5, AF_INET6, SOCK_DGRAM);
    cr_expect_eq(type_of(7), SOCK_DGRAM);
    cr_expect_eq(connection_domain(connection_word(7)), AF_INET6);
    connection_learnt(7, 5, AF_INET, SOCK_STREAM);
    cr_expect_eq(type_of(7), SOCK_DGRAM, "known by now");
}

Test(connection, made_here)
{
    connection_made(7, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 1, CONNECTION_CONNECTED);
    cr_expect_not(connection_may_time_out(7));
    cr_expect_eq(type_of(7), SOCK_STREAM);
    cr_expect_eq(connection_domain(connection_word(7)), AF_UNIX);
    cr_expect_eq(id_of(7), 1);
    cr_expect_eq(bits_of(7), CONNECTION_NO_TIMEOUT | CONNECTION_CONNECTED);
    connection_made(7, AF_INET, SOCK_DGRAM, 2, 0);
    cr_expect_eq(type_of(7), SOCK_DGRAM, "the number is used anew");
    cr_expect_eq(connection_domain(connection_word(7)), AF_INET);
    cr_expect_eq(id_of(7), 2);
    cr_expect_eq(bits_of(7), CONNECTION_NO_TIMEOUT);
    connection_made(7, AF_NETLINK, SOCK_RAW, 3, 0);
    cr_expect_eq(connection_domain(connection_word(7)), 0, "none whose addresses are kept");
}

Test(connection, accepted)
{
    connection_made(7, AF_UNIX, SOCK_SEQPACKET, 1, CONNECTION_APPEARED | CONNECTION_SHUT_READ);
    connection_accepted(7, 8, 2, CONNECTION_CONNECTED);
    cr_expect_eq(bits_of(8), CONNECTION_NO_TIMEOUT | CONNECTION_CONNECTED, "only the time-out is inherited");
    cr_expect_eq(type_of(8), SOCK_SEQPACKET);
    cr_expect_eq(connection_domain(connection_word(8)), AF_UNIX);
    cr_expect_eq(id_of(8), 2);
    connection_mark(7, 1, 0, CONNECTION_NO_TIMEOUT);
    cr_expect_not(connection_may_time_out(8), "accepted before");
    connection_accepted(7, 9, 3, 0);
    cr_expect(connection_may_time_out(9), "accepted after");
    connection_accepted(100, 10, 4, 0);
    cr_expect(connection_may_time_out(10), "from a listener that is not known");
}

Test(connection, duplicated)
{
    connection_made(7, AF_INET, SOCK_STREAM, 1, CONNECTION_CONNECTED);
    connection_duplicated(7, 8);
    cr_expect_eq(id_of(8), 1, "the same connection");
    cr_expect_eq(type_of(8), SOCK_STREAM);
    cr_expect_eq(bits_of(8), CONNECTION_CONNECTED);
    cr_expect(connection_word(7) & connection_word(8) & CONNECTION_DUPLICATED);
    cr_expect(connection_may_time_out(7) && connection_may_time_out(8), "either may set it for both");
    connection_duplicated(200, 8);
    cr_expect_eq(connection_word(8), 0, "what was there before is gone");
}

Test(connection, renewed)
{
    connection_made(7, AF_INET, SOCK_STREAM, 1, CONNECTION_CONNECTED | CONNECTION_ENDED | CONNECTION_RECEIVED);
    connection_renewed(7, 2);
    cr_expect_eq(id_of(7), 2);
    cr_expect_eq(bits_of(7), CONNECTION_NO_TIMEOUT, "the socket's own stays, the connection's goes");
    cr_expect_eq(type_of(7), SOCK_STREAM);
}

Test(connection, forgotten)
{
    connection_made(7, AF_INET, SOCK_STREAM, 1, CONNECTION_ENDED);
    connection_forget(7);
    cr_expect_eq(connection_word(7), 0, "whatever gets the number now");
    connection_forget(-1);
    connection_forget(CONNECTION_DESCRIPTORS);
}

Test(connection, marked_only_while_it_is_the_same)
{
    connection_made(7, AF_INET, SOCK_STREAM, 1, 0);
    uint64_t before = connection_word(7);
    cr_expect_eq(connection_mark(7, 1, CONNECTION_ENDED, 0), before);
    cr_expect_eq(connection_mark(7, 1, CONNECTION_ENDED, 0), before | CONNECTION_ENDED);
    connection_made(7, AF_INET, SOCK_STREAM, 2, 0);
    cr_expect_eq(connection_mark(7, 1, CONNECTION_ENDED, 0), 0, "one that is gone from here");
    cr_expect_eq(bits_of(7), CONNECTION_NO_TIMEOUT);
    cr_expect_eq(connection_mark(9, 0, CONNECTION_ENDED, 0), 0);
    cr_expect_eq(connection_word(9), 0, "nothing is known of it, and stays so");
}

static int visited[8], visits;

static void visit(int fd, uint64_t word)
{
    visited[visits++] = fd;
    cr_expect_eq(word, connection_word(fd));
}

Test(connection, ranges)
{
    connection_made(5, AF_INET, SOCK_STREAM, 1, 0);
    connection_made(7, AF_INET, SOCK_STREAM, 2, 0);
    connection_made(9, AF_INET, SOCK_STREAM, 3, 0);
    connection_identify(11, 4);
    connection_for_each(6, ~0U, visit);
    cr_assert_eq(visits, 3);
    cr_expect(visited[0] == 7 && visited[1] == 9 && visited[2] == 11);
    connection_for_each(0, 5, visit);
    cr_assert_eq(visits, 4);
    connection_for_each(12, 11, visit);
    connection_for_each(0, 4, visit);
    cr_expect_eq(visits, 4);
}

Test(connection, what_happens_to_a_socket_happens_to_its_duplicates)
{
    connection_made(7, AF_INET, SOCK_STREAM, 1, 0);
    connection_made(8, AF_INET, SOCK_STREAM, 2, 0);
    connection_duplicated(7, 3);
    connection_duplicated(3, 20);
    cr_expect_eq(connection_mark_all(3, 1, CONNECTION_ENDED, 0) & CONNECTION_ENDED, 0);
    cr_expect(bits_of(7) & CONNECTION_ENDED);
    cr_expect(bits_of(20) & CONNECTION_ENDED);
    cr_expect_eq(bits_of(8) & CONNECTION_ENDED, 0);
    cr_expect(connection_mark_all(20, 1, CONNECTION_ENDED, 0) & CONNECTION_ENDED, "no news");
    connection_mark_all(20, 1, 0, CONNECTION_ENDED);
    cr_expect_eq(bits_of(7) & CONNECTION_ENDED, 0);
    connection_renewed(3, 4);
    cr_expect(id_of(7) == 4 && id_of(3) == 4 && id_of(20) == 4 && id_of(8) == 2);
    connection_mark_all(7, 4, CONNECTION_ENDED, 0);
    cr_expect(bits_of(20) & CONNECTION_ENDED, "they still are duplicates");
}

Test(connection, beyond_the_table)
{
    static const int beyond[] = {-1, CONNECTION_DESCRIPTORS, 1 << 30};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        connection_made(beyond[i], AF_INET, SOCK_STREAM, 1, 0);
        connection_duplicated(beyond[i], beyond[i] + 1);
        cr_expect(connection_may_time_out(beyond[i]));
        cr_expect_eq(connection_word(beyond[i]), 0);
        cr_expect_eq(connection_identify(beyond[i], 1), 0);
        cr_expect_eq(connection_mark(beyond[i], 0, CONNECTION_ENDED, 0), 0);
    }
    connection_made(CONNECTION_DESCRIPTORS - 1, AF_INET, SOCK_STREAM, 9, 0);
    cr_expect_eq(id_of(CONNECTION_DESCRIPTORS - 1), 9);
}
