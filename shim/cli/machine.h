/* The kinds of machine that ELF files are for, by the names that people and Debian have for them. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>

/* Of one kind are two objects that one process can load. */
struct kind {
    int class;   /* ELFCLASS32, ELFCLASS64 */
    int machine; /* EM_* */
};

static inline bool kind_equals(struct kind left, struct kind right)
{
    return left.class == right.class && left.machine == right.machine;
}

/* "64-bit x86-64"; "64-bit, machine 4711" of one that is not known here. `room` is where that is written. */
const char *kind_words(struct kind kind, char room[64]);

/* Debian's name of its directory, as x86_64-linux-gnu, and ld.so's word for $PLATFORM; NULL where it is not known. */
const char *kind_directory(struct kind kind);
const char *kind_platform(struct kind kind);

#endif
