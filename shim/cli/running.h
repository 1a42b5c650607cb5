/* A process that runs, from /proc/PID: whether the library is in it, and if not, why. */
#ifndef RUNNING_H
#define RUNNING_H

#include "inspect.h"
#include "libraries.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_UNKNOWN };

struct running {
    pid_t pid;
    char comm[64];          /* its name, as the kernel has it */
    char program[PATH_MAX]; /* the file that it runs */
    char library[PATH_MAX]; /* as it is mapped; as LD_PRELOAD has it where it is not; "" */
    bool mapped;            /* the library is in it */
    bool settled;           /* its loader is past LD_PRELOAD: libc is there */
    bool filtered;          /* under a filter of seccomp */
    bool no_new_privileges;
    enum answer preloaded; /* LD_PRELOAD named the library when it started its program */
    enum answer secure;    /* its loader ran in secure mode (AT_SECURE) */
    enum answer chosen;    /* RECVSHIM_CALLS was set: `calls` */
    uint32_t calls;        /* a set, of those handled */
    unsigned int rings;    /* io_uring's that it holds open */
};

/* Look at it. Returns NULL, or why that is not possible as a phrase that follows its name; *error is then an errno, or
 * 0. */
const char *running_look(pid_t pid, struct running *running, int *error);

/* Look at the program that it runs: its file, what it imports, and as the verdict why the library is not in it; for one
 * that has it, TRACEABLE or GO. inspect_free() afterwards in any case. */
void running_inspect(const struct running *running, struct inspection *inspection);

/* Add all objects that it has mapped to run them, but for the library: the program is the first. */
void running_libraries(const struct running *running, struct libraries *libraries);

#endif
