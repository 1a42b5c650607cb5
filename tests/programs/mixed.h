/* What the processes of a mixed tree say of themselves, in a file. */
#ifndef MIXED_H
#define MIXED_H

#include <stdatomic.h>
#include <stdint.h>

#define TALLY_ENTRIES 4096

struct tally {
    _Atomic uint32_t count;
    struct tally_entry {
        uint32_t pid;
        uint32_t bits; /* of its class */
        _Atomic uint32_t receives;
    } entries[TALLY_ENTRIES]; /* a process that became another program has one of each */
};

#endif
