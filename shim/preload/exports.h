/* What the files exports_*.c have in common, which define the interposed symbols, a file for each kind of call, and
 * pass each call on to the stage that knows what it means. vfork.c, syscall.c and sanitizer.c define the rest;
 * exports.map lists them all, for the linker. */
#ifndef EXPORTS_H
#define EXPORTS_H

#define EXPORT __attribute__((visibility("default")))

/* libc's headers declare an address as a union of pointers to every kind of sockaddr, passed as a pointer is. */
#define ADDRESS(argument) ((argument).__sockaddr__)

#endif
