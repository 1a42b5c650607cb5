#include "scope.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

static struct sockaddr_in6 address_of(const char *text, uint32_t scope)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = 1, .sin6_flowinfo = 2, .sin6_scope_id = scope};
    cr_assert_eq(inet_pton(AF_INET6, text, &address.sin6_addr), 1, "%s", text);
    return address;
}

static void check(enum scope_policy policy, const char *text, uint32_t scope, const char *text_after,
                  uint32_t scope_after)
{
    struct sockaddr_in6 address = address_of(text, scope), expected = address_of(text_after, scope_after);
    bool differs = memcmp(&address, &expected, sizeof address) != 0;
    cr_expect_eq(scope_normalise(policy, &address), differs, "%s%%%u", text, scope);
    cr_expect_arr_eq(&address, &expected, sizeof address, "%s%%%u", text, scope);
    cr_expect_not(scope_normalise(policy, &address), "%s%%%u: not idempotent", text, scope);
    cr_expect_arr_eq(&address, &expected, sizeof address, "%s%%%u: not idempotent", text, scope);
}

Test(scope, canonical_keeps_it_where_the_kernel_sets_it)
{
    static const char *const scoped[] = {"fe80::",  "fe80::1", "fe80:1::30", "febf:ffff::1",
                                         "ff01::1", "ff02::1", "ff11::1",    "fff2::1"};
    for (size_t i = 0; i < sizeof scoped / sizeof scoped[0]; i++)
        check(SCOPE_CANONICAL, scoped[i], 3, scoped[i], 3);
}

Test(scope, canonical_clears_it_elsewhere)
{
    static const char *const global[] = {"::",      "::1",     "2001:db8::1", "fe7f::1", "fec0::1",         "fc00::1",
                                         "ff00::1", "ff03::1", "ff05::1",     "ff0e::1", "::ffff:192.0.2.1"};
    for (size_t i = 0; i < sizeof global / sizeof global[0]; i++) {
        check(SCOPE_CANONICAL, global[i], 3, global[i], 0);
        check(SCOPE_CANONICAL, global[i], 0, global[i], 0);
    }
}

Test(scope, strip)
{
    check(SCOPE_STRIP, "fe80::1", 3, "fe80::1", 0);
    check(SCOPE_STRIP, "2001:db8::1", UINT32_MAX, "2001:db8::1", 0);
    check(SCOPE_STRIP, "ff02::1", 0, "ff02::1", 0);
}

Test(scope, kame)
{
    check(SCOPE_KAME, "fe80:3::1", 0, "fe80::1", 3);
    check(SCOPE_KAME, "fe80:abcd::1", 9, "fe80::1", 0xabcd);
    check(SCOPE_KAME, "ff02:1::1", 0, "ff02::1", 1);
    check(SCOPE_KAME, "ff01:1::1", 0, "ff01::1", 1);
    check(SCOPE_KAME, "fe80::1", 3, "fe80::1", 3);
    check(SCOPE_KAME, "2001:db8::1", 3, "2001:db8::1", 3);
    check(SCOPE_KAME, "ff05:1::1", 3, "ff05:1::1", 3);
}

Test(scope, keep)
{
    check(SCOPE_KEEP, "2001:db8::1", 3, "2001:db8::1", 3);
    check(SCOPE_KEEP, "fe80:3::1", 0, "fe80:3::1", 0);
}
