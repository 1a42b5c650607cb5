#include "classify.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { UNKNOWN = 0 };

static enum recvshim_event verdict(ssize_t result, int error, int type, bool hung_up, size_t length, int flags)
{
    struct call call = {.length = length, .flags = flags};
    cr_expect(type == UNKNOWN || classify_needs_type(&call, result, error) ||
                  classify(&call, result, error, type, hung_up) == classify(&call, result, error, UNKNOWN, hung_up),
              "a type that was not asked for must not matter");
    return classify(&call, result, error, type, hung_up);
}

Test(classify, data)
{
    cr_expect_eq(verdict(1, 0, SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(verdict(9000, 0, SOCK_DGRAM, false, 1, MSG_TRUNC), RECVSHIM_EVENT_RECEIVE);
}

Test(classify, zero)
{
    cr_expect_eq(verdict(0, 0, SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_DISCONNECT);
    cr_expect_eq(verdict(0, 0, SOCK_STREAM, false, 1, MSG_PEEK), RECVSHIM_EVENT_DISCONNECT);
    cr_expect_eq(verdict(0, 0, SOCK_DGRAM, false, 1, 0), RECVSHIM_EVENT_EMPTY);
    cr_expect_eq(verdict(0, 0, SOCK_RAW, false, 1, 0), RECVSHIM_EVENT_EMPTY);
    cr_expect_eq(verdict(0, 0, SOCK_SEQPACKET, false, 1, 0), RECVSHIM_EVENT_EMPTY);
    cr_expect_eq(verdict(0, 0, SOCK_SEQPACKET, true, 1, 0), RECVSHIM_EVENT_DISCONNECT);
}

Test(classify, zero_that_says_nothing)
{
    cr_expect_eq(verdict(0, 0, SOCK_STREAM, false, 0, 0), RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(verdict(0, 0, SOCK_STREAM, false, 1, MSG_ERRQUEUE), RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(verdict(0, 0, SOCK_STREAM, false, 1, MSG_OOB), RECVSHIM_EVENT_RECEIVE);
    cr_expect_eq(verdict(0, 0, SOCK_DGRAM, false, 0, 0), RECVSHIM_EVENT_RECEIVE);
}

Test(classify, errors_that_end_a_stream)
{
    static const int errors[] = {ECONNRESET, ETIMEDOUT, ECONNABORTED, EHOSTUNREACH, ENETUNREACH};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        cr_expect_eq(verdict(-1, errors[i], SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_DISCONNECT, "%s",
                     strerror(errors[i]));
        cr_expect_eq(verdict(-1, errors[i], SOCK_DGRAM, false, 1, 0), RECVSHIM_EVENT_ERROR, "%s", strerror(errors[i]));
        cr_expect_eq(verdict(-1, errors[i], UNKNOWN, false, 1, 0), RECVSHIM_EVENT_ERROR, "%s", strerror(errors[i]));
    }
}

Test(classify, other_errors)
{
    static const int errors[] = {ECONNREFUSED, ENOTCONN, EBADF, EFAULT, EINVAL, ENOTSOCK, ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        cr_expect_eq(verdict(-1, errors[i], SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_ERROR, "%s", strerror(errors[i]));
        cr_expect_eq(verdict(-1, errors[i], SOCK_DGRAM, false, 1, 0), RECVSHIM_EVENT_ERROR, "%s", strerror(errors[i]));
    }
    cr_expect_eq(verdict(-1, EAGAIN, SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_WOULD_BLOCK);
    cr_expect_eq(verdict(-1, EINTR, SOCK_STREAM, false, 1, 0), RECVSHIM_EVENT_INTERRUPTED);
}
