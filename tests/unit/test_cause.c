#include "trace/cause.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(cause, follows_from_result_and_errno)
{
    static const struct {
        int64_t result;
        uint16_t error;
        const char *name;
    } rows[] = {
        {0, 0, "eof"},
        {-1, ECONNRESET, "reset"},
        {-1, ETIMEDOUT, "timeout"},
        {-1, ECONNABORTED, "aborted"},
        {-1, EHOSTUNREACH, "unreachable"},
        {-1, ENETUNREACH, "unreachable"},
        {-1, EIO, "unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.result = rows[i].result, .error = rows[i].error};
        cr_assert_str_eq(cause_names[cause_of(&record)], rows[i].name);
    }
}

Test(cause, size_is_what_fitted)
{
    static const struct {
        int64_t result;
        uint64_t requested, size;
    } rows[] = {{10, 100, 10}, {100, 10, 10}, {0, 10, 0}, {-1, 10, 0}, {INT64_MAX, UINT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recvshim_record record = {.result = rows[i].result, .requested = rows[i].requested};
        cr_assert_eq(size_of_receive(&record), rows[i].size);
    }
}
