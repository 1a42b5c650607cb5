/* vfork's children run in their parent's memory: what such a child does to its descriptors must not be noted as done to
 * its parent's. CPython's subprocess starts every program so, and closes all there is in the child. */
#ifndef VFORK_H
#define VFORK_H

#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

#define VFORK_FRAMES 8 /* calls of vfork under way in one thread: of children's children, and of handlers */

/* A call of vfork that is under way. */
struct vfork_frame {
    void *next;               /* the next definition */
    uintptr_t return_address; /* the stack below the caller's frame is the child's to overwrite */
    uintptr_t saved_register;
    uint64_t depth; /* of who called vfork */
};

/* A thread's, beside its depth (thread.h). The child has its parent's thread-local storage, too. */
struct vfork_nesting {
    uint64_t frames_used;
    struct vfork_frame frames[VFORK_FRAMES];
    bool filtered; /* a child has installed a filter of seccomp: its own, and not its parent's */
};
extern _Thread_local struct vfork_nesting vfork_nesting;

/* Whether it does where the depth says so, which may be left from a child that is gone. */
__attribute__((cold, noinline)) bool vfork_confirmed(void);

/* Whether the calling code runs in a child of vfork, by posix_spawn's own not counted: those call nothing of ours. */
static inline bool vfork_in_child(void)
{
    return __builtin_expect(thread_self.vfork_depth != 0, 0) && vfork_confirmed();
}

/* Before a call that makes such a child. */
void vfork_begins(void);

#endif
