/* Which process and thread this is, without a system call in a steady state. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_self {
    uint32_t pid;
    uint32_t tid;
    uint32_t parent; /* with `fresh` */
    bool fresh;      /* the first answer in a process: exactly one caller gets it */
};

/* Called once, by the constructor. */
void process_start(void);

/* Safe in a signal handler, and in a child of fork, vfork or a raw clone. In a child of vfork it answers for the
 * parent, whose memory that child runs in. */
struct process_self process_self(void);

#endif
