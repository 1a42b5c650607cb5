/* What the symbols that an object imports tell of how it receives. */
#ifndef IMPORTS_H
#define IMPORTS_H

#include <stdint.h>

/* Beside the calls of CALL_SYMBOL_TABLE: first what is never seen, then what tells what to make of it. The names are
 * those of the JSON output. */
#define TRAIT_TABLE(X)                                                                                                 \
    X(RESOLVER, "resolver")                                                                                            \
    X(STDIO, "stdio")                                                                                                  \
    X(IO_URING, "io-uring")                                                                                            \
    X(ASYNCHRONOUS, "asynchronous")                                                                                    \
    X(SPLICE, "splice")                                                                                                \
    X(PREADV2, "preadv2")                                                                                              \
    X(SYSCALL, "syscall")                                                                                              \
    X(PLUGINS, "plugins")                                                                                              \
    X(SOCKETS, "sockets")                                                                                              \
    X(FDOPEN, "fdopen")

#define TRAIT_ENUM(id, name) TRAIT_##id,
enum trait { TRAIT_TABLE(TRAIT_ENUM) TRAITS };
#undef TRAIT_ENUM

struct imports {
    uint32_t calls;  /* set of enum recvshim_call, under whichever of their names */
    uint32_t traits; /* set of enum trait */
};

/* Note a symbol that is imported. */
void imports_add(struct imports *imports, const char *symbol);

/* What all of an object's symbols together do not mean: a FILE is a socket only where one can be made into it. */
void imports_settle(struct imports *imports);

/* The name of a trait, as the JSON output has it. */
const char *trait_name(enum trait trait);

#endif
