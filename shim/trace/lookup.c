#include "lookup.h"

#include <stdlib.h>
#include <string.h>

static int by_pid_and_start(const void *left_item, const void *right_item)
{
    const struct process *left = left_item, *right = right_item;
    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return left->start < right->start ? -1 : left->start > right->start;
}

bool process_list_update(struct process_list *list, const struct trace *trace)
{
    /* Relaxed: each entry is acquired by itself, below. */
    uint64_t claimed = atomic_load_explicit(&trace->counters->processes, memory_order_relaxed);
    uint64_t entries = claimed < trace->header.processes ? claimed : trace->header.processes;
    if (claimed == list->claimed && list->count == entries)
        return true;
    struct process *items = reallocarray(list->items, entries + 1, sizeof *items);
    if (items == NULL)
        return false;
    /* The list has moved: should the trace be cut short below (guard_run()), it is empty, and still its own. */
    list->items = items;
    list->count = 0;

    size_t count = 0;
    for (uint64_t i = 0; i < entries; i++) {
        const struct recvshim_process *entry = &trace->processes[i];
        uint32_t pid = atomic_load_explicit(&entry->pid, memory_order_acquire);
        if (pid == 0)
            continue; /* still being written, or its writer died at it */
        items[count] = (struct process){.pid = pid, .parent = entry->parent, .start = entry->start};
        memcpy(items[count].comm, entry->comm, sizeof entry->comm);
        count++;
    }
    qsort(items, count, sizeof *items, by_pid_and_start);
    *list = (struct process_list){.items = items, .count = count, .claimed = claimed};
    return true;
}

void process_list_free(struct process_list *list)
{
    free(list->items);
    *list = (struct process_list){0};
}

/* Whether the entry is the one in force for that pid at that time. */
static bool holds(const struct process_list *list, size_t at, uint32_t pid, uint64_t time)
{
    const struct process *process = &list->items[at];
    return process->pid == pid && process->start <= time &&
           (at + 1 == list->count || process[1].pid != pid || process[1].start > time);
}

const struct process *process_find(struct process_list *list, uint32_t pid, uint64_t time)
{
    if (list->last < list->count && holds(list, list->last, pid, time))
        return &list->items[list->last];
    /* The number of entries that are not beyond (pid, time). */
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct process *process = &list->items[middle];
        if (process->pid < pid || (process->pid == pid && process->start <= time))
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && list->items[low - 1].pid == pid)
        low--;
    if (low == list->count || list->items[low].pid != pid)
        return NULL;
    list->last = low;
    return &list->items[low];
}

size_t lookup_name(const struct trace *trace, uint32_t index_plus_one, char text[108])
{
    if (index_plus_one == 0 || index_plus_one > trace->header.names)
        return 0;
    const struct recvshim_name *name = &trace->names[index_plus_one - 1];
    if (atomic_load_explicit(&name->state, memory_order_acquire) != 2)
        return 0;
    uint32_t length = *(const volatile uint32_t *)&name->length;
    if (length > sizeof name->text)
        return 0;
    memcpy(text, name->text, length);
    return length;
}
