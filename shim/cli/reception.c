#include "reception.h"

#include "trace/calls.h"
#include "trace/names.h"

#include <stdio.h>
#include <string.h>

bool reception_makes_sockets(const struct libraries *libraries)
{
    for (size_t i = 0; i < libraries->count; i++)
        if (library_has(&libraries->items[i], TRAIT_SOCKETS))
            return true;
    return false;
}

uint32_t reception_of(const struct libraries *libraries, const struct library *item)
{
    bool files = !library_has(item, TRAIT_SOCKETS) && reception_makes_sockets(libraries);
    return item->object.imports.calls & ~(files ? CALLS_ON_FILES : 0U);
}

uint32_t reception_of_all(const struct libraries *libraries)
{
    uint32_t calls = 0;
    for (size_t i = 0; i < libraries->count; i++)
        calls |= reception_of(libraries, &libraries->items[i]);
    return calls;
}

static bool is_named_by_program(const struct libraries *libraries, const struct library *item)
{
    return item != libraries->items && item->wanted_by == 0;
}

/* Whether anything receives of the program itself, or of what it names. */
static bool receives(const struct libraries *libraries, bool itself)
{
    for (size_t i = 0; i < libraries->count; i++)
        if ((itself ? i == 0 : is_named_by_program(libraries, &libraries->items[i])) &&
            reception_of(libraries, &libraries->items[i]) != 0)
            return true;
    return false;
}

bool reception_is_central(const struct libraries *libraries, const struct library *item)
{
    if (receives(libraries, true))
        return item == libraries->items;
    return !receives(libraries, false) || is_named_by_program(libraries, item);
}

enum reception reception_judge(const struct libraries *libraries, uint32_t handled, const struct library **by)
{
    bool any_handled = false, any_blind = false;
    *by = NULL;
    for (size_t i = 0; i < libraries->count; i++) {
        const struct library *item = &libraries->items[i];
        uint32_t calls = reception_of(libraries, item);
        if (calls == 0 || !reception_is_central(libraries, item))
            continue;
        bool others = (calls & ~handled) != 0;
        if (*by == NULL || (others && !any_blind))
            *by = item;
        any_blind |= others;
        any_handled |= (calls & handled) != 0;
    }
    if (*by == NULL)
        return RECEPTION_NONE;
    return !any_blind ? RECEPTION_HANDLED : any_handled ? RECEPTION_MIXED : RECEPTION_BLIND;
}

void reception_list(uint32_t calls, const char *conjunction, char list[RECEPTION_LIST_MAX])
{
    size_t length = 0;
    list[0] = '\0';
    for (uint32_t call = 0; call < RECVSHIM_CALLS; call++) {
        if ((calls >> call & 1) == 0)
            continue;
        const char *before = length == 0 ? "" : calls >> call == 1 ? conjunction : ", ";
        int added = snprintf(list + length, RECEPTION_LIST_MAX - length, "%s%s", before, call_names[call]);
        if (added < 0 || (size_t)added >= RECEPTION_LIST_MAX - length)
            return;
        length += (size_t)added;
    }
}

bool reception_advice(const struct libraries *libraries, uint32_t handled, char words[RECEPTION_WORDS_MAX])
{
    char others[RECEPTION_LIST_MAX];
    const struct library *by;
    enum reception reception = reception_judge(libraries, handled, &by);
    if (reception == RECEPTION_MIXED || reception == RECEPTION_BLIND) {
        reception_list(reception_of(libraries, by) & ~handled, " and ", others);
        snprintf(words, RECEPTION_WORDS_MAX, "%.255s imports %s, handled with --calls all only", library_name(by),
                 others);
        return true;
    }
    for (size_t i = 0; i < libraries->count; i++) {
        if (!library_has(&libraries->items[i], TRAIT_IO_URING))
            continue;
        snprintf(words, RECEPTION_WORDS_MAX, "%.255s uses io_uring, by which no receive is ever seen",
                 library_name(&libraries->items[i]));
        return true;
    }
    return false;
}
