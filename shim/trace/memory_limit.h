/* What the cgroups of this process allow it. */
#ifndef MEMORY_LIMIT_H
#define MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes of memory that the process and all that share its cgroup, or one above it, may have (memory.limit_in_bytes,
 * memory.max: cgroups(7)); UINT64_MAX where there is no limit, or none can be seen. */
uint64_t memory_limit(void);

#endif
