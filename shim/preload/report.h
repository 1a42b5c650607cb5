/* What is recorded of a receive. */
#ifndef REPORT_H
#define REPORT_H

#include "fault.h"
#include "outcome.h"

/* Record it, if its event is wanted. May change errno. */
void report_receive(const struct call *call, const struct outcome *outcome);

/* Record one of plain.h, whose result is positive. errno stays as it was. */
void report_plain(enum recvshim_call which, int fd, int flags, size_t length, uint64_t word, ssize_t result);

/* Record that a fault is injected. May change errno. */
void report_fault(const struct call *call, const struct fault *fault);

/* The type of a socket that this process did not make, asked of the kernel and noted; 0 where it cannot be told. */
int report_learn_type(int fd);

#endif
