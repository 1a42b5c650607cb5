#include "trace/error_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* Libc's own table says the same, but for the numbers that it does not know either. */
Test(error_names, every_name_is_libcs_and_is_read_back)
{
    int named = 0;
    for (int error = 1; error <= 4095; error++) {
        const char *name = error_name_of(error), *libcs = strerrorname_np(error);
        cr_assert_eq(name == NULL, libcs == NULL, "%d", error);
        if (name == NULL)
            continue;
        cr_expect_str_eq(name, libcs);
        cr_expect_eq(error_by_name(name, strlen(name)), error, "%s", name);
        named++;
    }
    cr_expect_eq(named, 131, "1 to 133 without 41 and 58");
}

Test(error_names, two_names_of_one)
{
    cr_expect_str_eq(error_name_of(EWOULDBLOCK), "EAGAIN");
    cr_expect_str_eq(error_name_of(EDEADLOCK), "EDEADLK");
    cr_expect_str_eq(error_name_of(ENOTSUP), "EOPNOTSUPP");
    cr_expect_eq(error_by_name("EWOULDBLOCK", 11), EAGAIN);
    cr_expect_eq(error_by_name("EDEADLOCK", 9), EDEADLK);
    cr_expect_eq(error_by_name("ENOTSUP", 7), EOPNOTSUPP);
}

Test(error_names, no_names)
{
    static const int numbers[] = {-1, 0, 41, 58, 134, 4096, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_expect_null(error_name_of(numbers[i]), "%d", numbers[i]);
    static const char *const names[] = {"", "E", "EIOX", "eio", "IO", "EI", " EIO", "5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_eq(error_by_name(names[i], strlen(names[i])), 0, "'%s'", names[i]);
    cr_expect_eq(error_by_name("EIOX", 3), EIO, "the length says where it ends");
}
