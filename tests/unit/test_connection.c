#include "connection.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

/* Criterion runs each test in a process of its own: every table is a new one. Numbers stand for descriptors where no
 * kernel is asked. */

Test(connection, unknown_descriptors)
{
    cr_expect(connection_may_time_out(7), "inherited: anything may be set on it");
    cr_expect_eq(connection_id(7), 0);
    cr_expect_eq(connection_identify(7, 5), 5);
    cr_expect_eq(connection_identify(7, 6), 5, "the first stays");
    cr_expect_eq(connection_id(7), 5);
    cr_expect(connection_may_time_out(7), "an id tells nothing of a time-out");
}

Test(connection, made_here)
{
    connection_made(7, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 1);
    cr_expect_not(connection_may_time_out(7));
    cr_expect_eq(connection_type(7, connection_word(7)), SOCK_STREAM);
    cr_expect_eq(connection_id(7), 1);
    connection_timeout_changed(7);
    cr_expect(connection_may_time_out(7));
    cr_expect_eq(connection_id(7), 1);
    connection_made(7, SOCK_DGRAM, 2);
    cr_expect_not(connection_may_time_out(7), "the number is used anew");
    cr_expect_eq(connection_type(7, connection_word(7)), SOCK_DGRAM);
    cr_expect_eq(connection_id(7), 2);
}

Test(connection, accepted)
{
    connection_made(7, SOCK_SEQPACKET, 1);
    connection_accepted(7, 8, 2);
    cr_expect_not(connection_may_time_out(8));
    cr_expect_eq(connection_type(8, connection_word(8)), SOCK_SEQPACKET);
    cr_expect_eq(connection_id(8), 2);
    connection_timeout_changed(7);
    cr_expect_not(connection_may_time_out(8), "accepted before");
    connection_accepted(7, 9, 3);
    cr_expect(connection_may_time_out(9), "accepted after");
    connection_accepted(100, 10, 4);
    cr_expect(connection_may_time_out(10), "from a listener that is not known");
}

Test(connection, duplicated)
{
    connection_made(7, SOCK_STREAM, 1);
    connection_duplicated(7, 8);
    cr_expect_eq(connection_id(8), 1, "the same connection");
    cr_expect_eq(connection_type(8, connection_word(8)), SOCK_STREAM);
    cr_expect(connection_may_time_out(7) && connection_may_time_out(8), "either may set it for both");
    connection_made(9, SOCK_STREAM, 2);
    connection_duplicated(9, 9);
    cr_expect_not(connection_may_time_out(9), "dup2 onto itself makes nothing");
    connection_duplicated(200, 8);
    cr_expect_eq(connection_id(8), 0, "what was there before is gone");
}

Test(connection, closed)
{
    connection_made(7, SOCK_STREAM, 1);
    connection_ended(7, connection_id(7));
    connection_closed(7);
    cr_expect(connection_may_time_out(7), "whatever gets the number now");
    cr_expect_eq(connection_id(7), 0);
    cr_expect_eq(connection_type(7, connection_word(7)), 0);
    cr_expect(connection_ended(7, connection_id(7)));
    connection_closed(-1);
    connection_closed(CONNECTION_DESCRIPTORS);
}

Test(connection, ends_once)
{
    connection_made(7, SOCK_STREAM, 1);
    cr_expect(connection_ended(7, connection_id(7)));
    cr_expect_not(connection_ended(7, connection_id(7)));
    connection_made(7, SOCK_STREAM, 2);
    cr_expect(connection_ended(7, 1), "one that is gone from here");
    cr_expect(connection_ended(7, 2), "another connection, which nobody took for ended");
}

Test(connection, beyond_the_table)
{
    static const int beyond[] = {-1, CONNECTION_DESCRIPTORS, 1 << 30};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        connection_made(beyond[i], SOCK_STREAM, 1);
        cr_expect(connection_may_time_out(beyond[i]));
        cr_expect_eq(connection_id(beyond[i]), 0);
        cr_expect_eq(connection_identify(beyond[i], 1), 0);
        cr_expect_eq(connection_type(beyond[i], connection_word(beyond[i])), 0);
        cr_expect(connection_ended(beyond[i], connection_id(beyond[i])) &&
                      connection_ended(beyond[i], connection_id(beyond[i])),
                  "better twice than never");
    }
    connection_made(CONNECTION_DESCRIPTORS - 1, SOCK_STREAM, 9);
    cr_expect_eq(connection_id(CONNECTION_DESCRIPTORS - 1), 9);
}

Test(connection, asks_the_kernel_for_a_type_once)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    cr_expect_eq(connection_type(fds[0], connection_word(fds[0])), SOCK_SEQPACKET);
    close(fds[0]);
    cr_expect_eq(connection_type(fds[0], connection_word(fds[0])), SOCK_SEQPACKET, "noted");
    cr_expect_eq(connection_type(fds[1] + 1, connection_word(fds[1] + 1)), 0, "no socket, no type");
}
