#include "control_page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

/* Returns false where it was being written. */
static bool copy(const struct trace *trace, struct control_page *page)
{
    struct recvshim_control *control = trace->control;
    /* Acquire: what is read below is not older than this. */
    page->generation = atomic_load_explicit(&control->generation, memory_order_acquire);
    page->tracing = atomic_load_explicit(&control->tracing, memory_order_relaxed) != 0;
    page->events = atomic_load_explicit(&control->events, memory_order_relaxed);
    page->claimed = atomic_load_explicit(&control->rules, memory_order_relaxed);
    page->rules.count = page->claimed <= RECVSHIM_MAX_RULES ? page->claimed : 0;
    for (uint32_t i = 0; i < page->rules.count; i++) {
        uint64_t words[RECVSHIM_RULE_WORDS];
        for (size_t j = 0; j < RECVSHIM_RULE_WORDS; j++)
            words[j] = atomic_load_explicit(&control->rule_words[i][j], memory_order_relaxed);
        memcpy(&page->rules.rules[i], words, sizeof words);
    }
    for (uint32_t i = 0; i < RECVSHIM_MAX_RULES; i++)
        page->injected[i] =
            recvshim_counted(atomic_load_explicit(&trace->rules[i].injected, memory_order_relaxed), page->generation);
    /* If any of these is of another generation, the generation is another by now: meets the fence of the writer. */
    atomic_thread_fence(memory_order_acquire);
    return (page->generation & 1) == 0 &&
           atomic_load_explicit(&control->generation, memory_order_relaxed) == page->generation;
}

void control_page_read(const struct trace *trace, struct control_page *page)
{
    /* To write it takes microseconds. Who reads this while it is changed all the time gets it odd as well. */
    for (int tries = 0; !copy(trace, page); tries++) {
        if (tries == 100) {
            page->generation |= 1;
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

bool control_page_is_rule(const struct control_page *page, uint32_t index)
{
    return index < page->rules.count && fault_rule_valid(&page->rules.rules[index]);
}

struct trace_error control_page_lock(const struct trace *trace, bool wait)
{
    /* Of the open file, not of the process: it goes with the descriptor, and is no matter of whoever else opens the
     * trace in this process. */
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = RECVSHIM_CONTROL_OFFSET,
                         .l_len = sizeof(struct recvshim_control)};
    int result;
    do {
        result = fcntl(trace->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? (struct trace_error){NULL, 0} : (struct trace_error){"cannot be locked", errno};
}

void control_page_set_tracing(const struct trace *trace, bool tracing)
{
    /* Relaxed: it says nothing of anything else. */
    atomic_store_explicit(&trace->control->tracing, tracing ? 1 : 0, memory_order_relaxed);
}

void control_page_set_rules(const struct trace *trace, const struct fault_rules *rules)
{
    struct recvshim_control *control = trace->control;
    /* Relaxed: the lock has put all writers in order. One that was killed has left it odd; what it began to write is
     * written over. */
    uint32_t odd = atomic_load_explicit(&control->generation, memory_order_relaxed) | 1;
    atomic_store_explicit(&control->generation, odd, memory_order_relaxed);
    /* Release: whoever reads one of the words below finds, when it looks again, that the generation is odd or newer. */
    atomic_thread_fence(memory_order_release);
    for (uint32_t i = 0; i < rules->count; i++) {
        uint64_t words[RECVSHIM_RULE_WORDS];
        memcpy(words, &rules->rules[i], sizeof words);
        for (size_t j = 0; j < RECVSHIM_RULE_WORDS; j++)
            atomic_store_explicit(&control->rule_words[i][j], words[j], memory_order_relaxed);
    }
    atomic_store_explicit(&control->rules, rules->count, memory_order_relaxed);
    /* Release: who finds this generation finds its rules. It is never 0 again, which would give each process back the
     * rules that it was started with. */
    uint32_t even = odd + 1;
    atomic_store_explicit(&control->generation, even != 0 ? even : 2, memory_order_release);
}
