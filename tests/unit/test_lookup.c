#include "fixture.h"

#include <criterion/criterion.h>

static const char *comm_at(struct process_list *list, uint32_t pid, uint64_t time)
{
    const struct process *process = process_find(list, pid, time);
    return process != NULL ? process->comm : "none";
}

Test(lookup, finds_who_had_the_pid_then)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    struct process_list list = {0};
    fixture_process(&trace, 42, 200, "second");
    fixture_process(&trace, 7, 50, "other");
    fixture_process(&trace, 42, 100, "first");
    cr_assert(process_list_update(&list, &trace));
    cr_assert_str_eq(comm_at(&list, 42, 150), "first");
    cr_assert_str_eq(comm_at(&list, 42, 200), "second");
    cr_assert_str_eq(comm_at(&list, 42, 199), "first");
    cr_assert_str_eq(comm_at(&list, 42, UINT64_MAX), "second");
    cr_assert_str_eq(comm_at(&list, 42, 99), "first", "its hello may be later than its first record");
    cr_assert_str_eq(comm_at(&list, 7, 60), "other");
    cr_assert_str_eq(comm_at(&list, 8, 60), "none");

    /* The table has four entries; more processes than that may say hello. */
    fixture_process(&trace, 9, 1, "sixteen bytes it");
    fixture_process(&trace, 10, 1, "late");
    cr_assert(process_list_update(&list, &trace));
    cr_assert_str_eq(comm_at(&list, 9, 60), "sixteen bytes it");
    cr_assert_str_eq(comm_at(&list, 10, 60), "none");
    atomic_store(&trace.counters->processes, UINT64_MAX);
    cr_assert(process_list_update(&list, &trace));
    cr_assert_eq(list.count, 4);
    process_list_free(&list);
}

Test(lookup, takes_no_name_on_trust)
{
    struct trace trace = fixture_trace(RECVSHIM_MODE_OVERWRITE);
    char text[108];
    struct recvshim_name *name = &trace.names[3];
    memcpy(name->text, "/run/a", 6);
    name->length = 6;
    name->state = 2;
    cr_assert_eq(lookup_name(&trace, 4, text), 6);
    cr_assert_eq(memcmp(text, "/run/a", 6), 0);
    cr_assert_eq(lookup_name(&trace, 0, text), 0);
    cr_assert_eq(lookup_name(&trace, 5, text), 0);
    cr_assert_eq(lookup_name(&trace, UINT32_MAX, text), 0);
    name->length = 109;
    cr_assert_eq(lookup_name(&trace, 4, text), 0);
    name->length = 6;
    name->state = 1;
    cr_assert_eq(lookup_name(&trace, 4, text), 0);
}
