#include "reception.h"

#include "recvshim/trace.h"
#include "trace/names.h"

#include <stdio.h>
#include <string.h>

const char *library_name(const struct library *item)
{
    const char *path = item->path != NULL ? item->path : item->name, *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool makes_sockets(const struct library *item)
{
    return (item->object.imports.traits >> TRAIT_SOCKETS & 1) != 0;
}

bool reception_counts(const struct libraries *libraries, const struct library *item)
{
    if (makes_sockets(item))
        return true;
    for (size_t i = 0; i < libraries->count; i++)
        if (makes_sockets(&libraries->items[i]))
            return false;
    return true;
}

uint32_t reception_calls(const struct libraries *libraries)
{
    uint32_t calls = 0;
    for (size_t i = 0; i < libraries->count; i++)
        if (reception_counts(libraries, &libraries->items[i]))
            calls |= libraries->items[i].object.imports.calls;
    return calls;
}

const struct library *reception_blind(const struct libraries *libraries, uint32_t handled)
{
    for (size_t i = 0; i < libraries->count; i++) {
        const struct library *item = &libraries->items[i];
        uint32_t calls = item->object.imports.calls;
        if (calls != 0 && (calls & handled) == 0 && reception_counts(libraries, item))
            return item;
    }
    return NULL;
}

void reception_list(uint32_t calls, const char *conjunction, char list[256])
{
    size_t length = 0;
    list[0] = '\0';
    for (uint32_t call = 0; call < RECVSHIM_CALLS; call++) {
        if ((calls >> call & 1) == 0)
            continue;
        bool last = calls >> call == 1;
        const char *before = length == 0 ? "" : last ? conjunction : ", ";
        length += (size_t)snprintf(list + length, 256 - length, "%s%s", before, call_names[call]);
    }
}

bool reception_advice(const struct libraries *libraries, uint32_t handled, char words[RECEPTION_WORDS_MAX])
{
    char others[256];
    uint32_t calls = reception_calls(libraries) & ~handled;
    const struct library *blind = reception_blind(libraries, handled);
    if (blind != NULL)
        calls = blind->object.imports.calls;
    if (calls != 0) {
        reception_list(calls, " and ", others);
        snprintf(words, RECEPTION_WORDS_MAX, "%s imports %s, handled with --calls all only",
                 blind != NULL ? library_name(blind) : "it", others);
        return true;
    }
    for (size_t i = 0; i < libraries->count; i++) {
        if ((libraries->items[i].object.imports.traits >> TRAIT_IO_URING & 1) == 0)
            continue;
        snprintf(words, RECEPTION_WORDS_MAX, "%s uses io_uring, whose receives no preloaded library sees",
                 library_name(&libraries->items[i]));
        return true;
    }
    return false;
}
