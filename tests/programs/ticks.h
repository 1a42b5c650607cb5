/* SIGALRM every so often, as from a timer, but each time once the thread that asked for it sleeps in a receive: every
 * tick interrupts one, however long a busy machine keeps the thread from it. */
#ifndef TICKS_H
#define TICKS_H

#include "settled.h"

#include <semaphore.h>

static struct {
    pthread_t thread;
    int file; /* of the receiving thread, for is_blocked() */
    long period_us;
    sem_t over;
} ticking;

/* Whether the ticks are over before that time is. */
static inline bool over_within(long microseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += microseconds % 1000000 * 1000;
    until.tv_sec += microseconds / 1000000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_clockwait(&ticking.over, CLOCK_MONOTONIC, &until) == 0;
}

static inline void *send_ticks(void *unused)
{
    for (;;) {
        while (!is_blocked(ticking.file))
            if (over_within(100))
                return unused;
        if (over_within(ticking.period_us))
            return unused;
        must(kill(getpid(), SIGALRM) == 0, "kill");
    }
}

/* 0: none. */
static inline void begin_ticks(long microseconds)
{
    ticking.period_us = microseconds;
    if (microseconds == 0)
        return;
    ticking.file = open_syscall_file((pid_t)gettid_now());
    must(sem_init(&ticking.over, 0, 0) == 0, "sem_init");
    ticking.thread = start_undisturbed(send_ticks, NULL);
}

/* After it there is none. */
static inline void end_ticks(void)
{
    if (ticking.period_us == 0)
        return;
    sem_post(&ticking.over);
    pthread_join(ticking.thread, NULL);
    close(ticking.file);
}

#endif
