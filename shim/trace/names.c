#include "names.h"

#include "recvshim/trace.h"

#include <string.h>

#define EVENT_NAME(id, name, meaning) [RECVSHIM_EVENT_##id] = (name),
const char *const event_names[] = {RECVSHIM_EVENT_TABLE(EVENT_NAME)};
#undef EVENT_NAME

#define CALL_NAME(id, name) [RECVSHIM_CALL_##id] = (name),
const char *const call_names[] = {RECVSHIM_CALL_TABLE(CALL_NAME)};
#undef CALL_NAME

#define ACTION_NAME(id, name, meaning) [RECVSHIM_ACTION_##id] = (name),
const char *const action_names[] = {RECVSHIM_ACTION_TABLE(ACTION_NAME)};
#undef ACTION_NAME

int names_find(const char *word, size_t length, const char *const names[], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
            return (int)i;
    return -1;
}

bool names_parse_set(const char *list, const char *const names[], uint32_t count, uint32_t *set)
{
    uint32_t found = 0;
    if (strcmp(list, "all") == 0) {
        *set = (1U << count) - 1;
        return true;
    }
    for (const char *word = list;;) {
        size_t length = strcspn(word, ",");
        int index = names_find(word, length, names, count);
        if (index < 0)
            return false;
        found |= 1U << index;
        if (word[length] == '\0')
            break;
        word += length + 1;
    }
    *set = found;
    return true;
}
