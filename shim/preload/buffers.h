/* The memory that a receive fills: one buffer, or several one after the other, looked at alike. Whoever looks has to
 * know that the kernel has read the program's vector, or be content with call_may_follow(). Pure. */
#ifndef BUFFERS_H
#define BUFFERS_H

#include "call.h"

/* Bytes that the call asks for at most. */
size_t buffers_size(const struct call *call);

/* A part of the buffers: from `offset` on, and no more than the call's length has it; of at most so many pieces, which
 * is what there is room for on a stack. Returns its size; *count: pieces used. 0 only where nothing is left. */
#define BUFFERS_PIECES 8
size_t buffers_part(const struct call *call, size_t offset, struct iovec pieces[BUFFERS_PIECES], int *count);

/* The byte at a position below buffers_size(). */
uint8_t *buffers_at(const struct call *call, size_t position);

/* Zero the bytes from `first` to before `end`, which are all in them. */
void buffers_clear(const struct call *call, size_t first, size_t end);

#endif
