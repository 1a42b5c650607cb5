/* Where this process runs, as a trace's header names it. libc only, nothing allocated. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stddef.h>
#include <stdint.h>

/* The boot id of this kernel; unchanged where it cannot be read. */
void identity_boot(uint8_t id[16]);

/* The inode of this process's pid namespace; 0 where it cannot be read. */
uint64_t identity_pid_namespace(void);

/* What a small file of /proc or /sys holds, terminated; empty where it cannot be read. */
void identity_read_line(const char *path, char *text, size_t size);

#endif
