/* Addresses: nothing written where the program gave no room, and SEMANTICS.md's table of scope policies. */
#include "harness.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(address, .init = harness_begin, .fini = harness_end);

/* The victim's output is compared with a native run; with a lower layer whose scope ids must be mended the two differ
 * where there is room for a scope id, and only there. */
Test(address, canaries)
{
    NOT_UNDER_QEMU("it takes addresses that the kernel refuses");
    struct finished native = RUN(.argv = {"addrlen"}, .native = true);
    cr_assert(exited_with(&native, 0));
    cr_expect_eq(lines_of(native.out), 14, "%s", native.out);
    cr_expect(strstr(native.out, "bad-address result -1 errno 14") != NULL, "%s", native.out);
    struct finished job = RUN(.argv = {"addrlen"});
    cr_assert(exited_with(&job, 0));
    cr_expect_str_eq(job.out, native.out);
    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    for (long long i = 0; i < ring.count; i++)
        cr_expect_not(ring.records[i].result_flags & RECVSHIM_RESULT_NORMALISED);
}

static const char *line_of(const struct finished *job, const char *beginning)
{
    const char *line = strstr(job->out, beginning);
    cr_assert(line != NULL, "%s in %s", beginning, job->out);
    return strndup(line, strcspn(line, "\n"));
}

Test(address, canaries_where_a_scope_is_mended)
{
    static const char *const same[] = {"length 0 ", "length 1 ", "length 2 ", "length 16 ", "length 24 ", "length 27 "};
    static const char *const mended[] = {"length 28 ", "length 128 "};
    const char *address = "LOWER_ADDRESS=2001:db8::1", *scope = "LOWER_SCOPE=7";
    struct finished native =
        RUN(.argv = {"addrlen"}, .env = {address, scope}, .after = "lower_scope.so", .native = true);
    struct finished job = RUN(.argv = {"addrlen"}, .env = {address, scope}, .after = "lower_scope.so");
    struct finished wanted =
        RUN(.argv = {"addrlen"}, .env = {address, "LOWER_SCOPE=0"}, .after = "lower_scope.so", .native = true);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        cr_expect_str_eq(line_of(&job, same[i]), line_of(&native, same[i]));
    for (size_t i = 0; i < sizeof mended / sizeof mended[0]; i++) {
        cr_expect_str_neq(line_of(&job, mended[i]), line_of(&native, mended[i]));
        cr_expect_str_eq(line_of(&job, mended[i]), line_of(&wanted, mended[i]));
    }
}

/* As the same of recvfrom. What must be mended is a fault's: ::1 comes with a scope id, which `keep` leaves there. */
Test(address, canaries_of_messages)
{
    static const char *const calls[] = {"call=recvmsg", "call=recvmmsg"};
    for (size_t i = 0; i < 2; i++) {
        unlink(trace_path());
        struct finished native = RUN(.argv = {"addrlen", calls[i]}, .native = true);
        struct finished job = RUN(.argv = {"addrlen", calls[i]}, .env = {"RECVSHIM_CALLS=all"});
        struct finished mended =
            RUN(.argv = {"addrlen", calls[i]}, .env = {"RECVSHIM_CALLS=all", "RECVSHIM_FAULT=*:scope=7"});
        struct finished kept = RUN(.argv = {"addrlen", calls[i]},
                                   .env = {"RECVSHIM_CALLS=all", "RECVSHIM_FAULT=*:scope=7", "RECVSHIM_SCOPE=keep"});
        cr_expect_eq(lines_of(native.out), 9, "%s", native.out);
        cr_expect_str_eq(job.out, native.out, "%s", calls[i]);
        cr_expect_str_eq(mended.out, native.out, "%s", calls[i]);
        static const char *const lengths[] = {"length 0 ",  "length 1 ",  "length 2 ",  "length 16 ",
                                              "length 24 ", "length 27 ", "length 28 ", "length 128 "};
        for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
            const char *line = line_of(&kept, lengths[n]);
            cr_expect_eq(strcmp(line, line_of(&native, lengths[n])) != 0, n >= 6, "%s: %s", calls[i], line);
            cr_expect(strstr(line, " beyond 0") != NULL, "%s: %s", calls[i], line);
        }
    }
}

/* Known or not, traced or not: where the address lies is what the header said when the call was made. */
Test(address, a_header_that_is_received_over)
{
    static const char *const traces[] = {NULL, "RECVSHIM_TRACE="};
    for (size_t i = 0; i < 2; i++) {
        struct finished job = RUN(.argv = {"overlaid"}, .env = {"RECVSHIM_CALLS=all", traces[i]});
        cr_assert(exited_with(&job, 0));
        cr_expect_eq(said(&job, "whole"), 1);
        cr_expect_eq(said(&job, "length"), (long long)sizeof(struct sockaddr_in6));
        cr_expect_eq(said(&job, "family"), AF_INET6);
    }
}

/* What the lower layer answers, and what each policy makes of it. */
static const struct row {
    const char *address;
    unsigned scope;
    struct {
        unsigned scope;
        const char *address; /* NULL: as it was */
    } canonical, strip, kame;
} rows[] = {
    {"2001:db8::1", 7, {0, NULL}, {0, NULL}, {7, NULL}},
    {"::1", 1, {0, NULL}, {0, NULL}, {1, NULL}},
    {"fc00::1", 9, {0, NULL}, {0, NULL}, {9, NULL}},
    {"fec0::1", 9, {0, NULL}, {0, NULL}, {9, NULL}},
    {"::ffff:192.0.2.1", 3, {0, NULL}, {0, NULL}, {3, NULL}},
    {"ff05::1", 4, {0, NULL}, {0, NULL}, {4, NULL}},
    {"ff0e::1", 4, {0, NULL}, {0, NULL}, {4, NULL}},
    {"2001:db8::1", 0, {0, NULL}, {0, NULL}, {0, NULL}},
    {"fe80::1", 2, {2, NULL}, {0, NULL}, {2, NULL}},
    {"febf::1", 2, {2, NULL}, {0, NULL}, {2, NULL}},
    {"ff01::1", 2, {2, NULL}, {0, NULL}, {2, NULL}},
    {"ff02::1", 2, {2, NULL}, {0, NULL}, {2, NULL}},
    {"ff12::1", 2, {2, NULL}, {0, NULL}, {2, NULL}},
    {"fe80:5::1", 0, {0, NULL}, {0, NULL}, {5, "fe80::1"}},
    {"fe80:1234::1", 2, {2, NULL}, {0, NULL}, {0x1234, "fe80::1"}},
    {"ff02:6::1", 0, {0, NULL}, {0, NULL}, {6, "ff02::1"}},
};

static void check_row(const struct row *row, const char *policy, const char *address, unsigned scope)
{
    char lower_address[80], lower_scope[40], variable[40], line[80];
    snprintf(lower_address, sizeof lower_address, "LOWER_ADDRESS=%s", row->address);
    snprintf(lower_scope, sizeof lower_scope, "LOWER_SCOPE=%u", row->scope);
    snprintf(variable, sizeof variable, "RECVSHIM_SCOPE=%s", policy);
    const char *setting = *policy != '\0' ? variable : "RECVSHIM_SCOPE";
    unlink(trace_path());
    struct finished job =
        RUN(.argv = {"scope_seen"}, .env = {lower_address, lower_scope, setting}, .after = "lower_scope.so");
    cr_assert(exited_with(&job, 0));

    bool changed = address != NULL || scope != row->scope;
    address = address != NULL ? address : row->address;
    snprintf(line, sizeof line, "address %s\n", address);
    cr_expect(strstr(job.out, line) != NULL, "%s %%%u under %s: %s", row->address, row->scope, policy, job.out);
    cr_expect_eq(said(&job, "scope"), scope, "%s %%%u under %s: %s", row->address, row->scope, policy, job.out);
    cr_expect_eq(said(&job, "length"), sizeof(struct sockaddr_in6));
    cr_expect_eq(said(&job, "port"), said(&job, "own_port"));

    struct ring ring = read_receives(trace_path());
    expect_complete(&ring);
    cr_assert_eq(ring.count, 1);
    struct in6_addr expected;
    inet_pton(AF_INET6, address, &expected);
    cr_expect_arr_eq(ring.records[0].address, expected.s6_addr, 16, "the trace holds what the program got");
    cr_expect_eq(ring.records[0].scope, scope);
    cr_expect_eq((ring.records[0].result_flags & RECVSHIM_RESULT_NORMALISED) != 0, changed, "%s %%%u under %s",
                 row->address, row->scope, policy);
}

Test(address, scope_policies)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&rows[i], "canonical", rows[i].canonical.address, rows[i].canonical.scope);
        check_row(&rows[i], "strip", rows[i].strip.address, rows[i].strip.scope);
        check_row(&rows[i], "kame", rows[i].kame.address, rows[i].kame.scope);
        check_row(&rows[i], "keep", NULL, rows[i].scope);
    }
}

Test(address, canonical_is_the_default)
{
    check_row(&rows[0], "", NULL, 0);
}

Test(address, mended_without_a_trace)
{
    struct finished job = RUN(.argv = {"scope_seen"}, .after = "lower_scope.so",
                              .env = {"LOWER_ADDRESS=2001:db8::1", "LOWER_SCOPE=7", "RECVSHIM_TRACE"});
    cr_expect_eq(said(&job, "scope"), 0);
}

Test(address, answer_to_a_canonical_link_local_address)
{
    struct finished job = RUN(.argv = {"linklocal"});
    if (not_permitted(&job))
        SKIP("network namespaces are not permitted here");
    cr_assert(exited_with(&job, 0));
    cr_expect_eq(said(&job, "scope"), said(&job, "index"));
    cr_expect_eq(said(&job, "same"), 1);
    cr_expect_eq(said(&job, "answered"), 1, "the answer arrived");
    struct ring ring = read_receives(trace_path());
    cr_assert_eq(ring.count, 2);
    cr_expect_eq(ring.records[0].scope, said(&job, "index"));
    cr_expect_not(ring.records[0].result_flags & RECVSHIM_RESULT_NORMALISED);
}
