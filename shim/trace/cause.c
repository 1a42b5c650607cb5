#include "cause.h"

#include <errno.h>

#define CAUSE_NAME(id, name, meaning)    [CAUSE_##id] = (name),
#define CAUSE_MEANING(id, name, meaning) [CAUSE_##id] = (meaning),
const char *const cause_names[CAUSES] = {CAUSE_TABLE(CAUSE_NAME)};
const char *const cause_meanings[CAUSES] = {CAUSE_TABLE(CAUSE_MEANING)};

enum cause cause_of(const struct recvshim_record *record)
{
    if (record->result == 0)
        return CAUSE_EOF;
    switch (record->error) {
    case ECONNRESET:
        return CAUSE_RESET;
    case ETIMEDOUT:
        return CAUSE_TIMEOUT;
    case ECONNABORTED:
        return CAUSE_ABORTED;
    case EHOSTUNREACH:
    case ENETUNREACH:
        return CAUSE_UNREACHABLE;
    default:
        return CAUSE_UNKNOWN;
    }
}

uint64_t size_of_receive(const struct recvshim_record *record)
{
    if (record->result < 0)
        return 0;
    uint64_t result = (uint64_t)record->result;
    return result < record->requested ? result : record->requested;
}
