#include "imports.h"

#include "trace/calls.h"

#include <stddef.h>
#include <string.h>

#define CALL_SYMBOL(symbol, call) {#symbol, RECVSHIM_CALL_##call},
static const struct call_symbol {
    const char *name;
    enum recvshim_call call;
} call_symbols[] = {CALL_SYMBOL_TABLE(CALL_SYMBOL)};
#undef CALL_SYMBOL
#define CALL_SYMBOLS (sizeof call_symbols / sizeof call_symbols[0])

static const struct symbol {
    const char *name;
    enum trait trait;
} symbols[] = {
    {"socket", TRAIT_SOCKETS},
    {"socketpair", TRAIT_SOCKETS},
    {"connect", TRAIT_SOCKETS},
    {"accept", TRAIT_SOCKETS},
    {"accept4", TRAIT_SOCKETS},
    /* libc receives the answers itself, by calls within it. */
    {"getaddrinfo", TRAIT_RESOLVER},
    {"getaddrinfo_a", TRAIT_RESOLVER},
    {"getnameinfo", TRAIT_RESOLVER},
    {"gethostbyname", TRAIT_RESOLVER},
    {"gethostbyname_r", TRAIT_RESOLVER},
    {"gethostbyname2", TRAIT_RESOLVER},
    {"gethostbyname2_r", TRAIT_RESOLVER},
    {"gethostbyaddr", TRAIT_RESOLVER},
    {"gethostbyaddr_r", TRAIT_RESOLVER},
    {"res_query", TRAIT_RESOLVER},
    {"res_search", TRAIT_RESOLVER},
    {"res_send", TRAIT_RESOLVER},
    {"res_nquery", TRAIT_RESOLVER},
    {"res_nsearch", TRAIT_RESOLVER},
    {"res_nsend", TRAIT_RESOLVER},
    {"__res_query", TRAIT_RESOLVER},
    {"__res_search", TRAIT_RESOLVER},
    {"__res_send", TRAIT_RESOLVER},
    {"__res_nquery", TRAIT_RESOLVER},
    {"__res_nsearch", TRAIT_RESOLVER},
    {"__res_nsend", TRAIT_RESOLVER},
    /* A FILE's buffer is filled by a read within libc. */
    {"fdopen", TRAIT_FDOPEN},
    {"fgets", TRAIT_STDIO},
    {"fgets_unlocked", TRAIT_STDIO},
    {"__fgets_chk", TRAIT_STDIO},
    {"__fgets_unlocked_chk", TRAIT_STDIO},
    {"fread", TRAIT_STDIO},
    {"fread_unlocked", TRAIT_STDIO},
    {"__fread_chk", TRAIT_STDIO},
    {"__fread_unlocked_chk", TRAIT_STDIO},
    {"getline", TRAIT_STDIO},
    {"getdelim", TRAIT_STDIO},
    {"__getdelim", TRAIT_STDIO},
    {"fgetc", TRAIT_STDIO},
    {"getc", TRAIT_STDIO},
    {"_IO_getc", TRAIT_STDIO},
    {"getc_unlocked", TRAIT_STDIO},
    {"__uflow", TRAIT_STDIO},
    {"fscanf", TRAIT_STDIO},
    {"__isoc99_fscanf", TRAIT_STDIO},
    {"__isoc23_fscanf", TRAIT_STDIO},
    {"aio_read", TRAIT_ASYNCHRONOUS},
    {"aio_read64", TRAIT_ASYNCHRONOUS},
    {"lio_listio", TRAIT_ASYNCHRONOUS},
    {"lio_listio64", TRAIT_ASYNCHRONOUS},
    {"io_submit", TRAIT_ASYNCHRONOUS},
    {"splice", TRAIT_SPLICE},
    {"preadv2", TRAIT_PREADV2},
    {"preadv64v2", TRAIT_PREADV2},
    {"syscall", TRAIT_SYSCALL},
    {"dlopen", TRAIT_PLUGINS},
    {"dlmopen", TRAIT_PLUGINS},
};
#define SYMBOLS (sizeof symbols / sizeof symbols[0])

void imports_add(struct imports *imports, const char *symbol)
{
    for (size_t i = 0; i < CALL_SYMBOLS; i++)
        if (strcmp(symbol, call_symbols[i].name) == 0)
            imports->calls |= 1U << call_symbols[i].call;
    for (size_t i = 0; i < SYMBOLS; i++)
        if (strcmp(symbol, symbols[i].name) == 0)
            imports->traits |= 1U << symbols[i].trait;
    if (strncmp(symbol, "io_uring_", 9) == 0)
        imports->traits |= 1U << TRAIT_IO_URING;
}

void imports_settle(struct imports *imports)
{
    const uint32_t both = 1U << TRAIT_SOCKETS | 1U << TRAIT_FDOPEN;
    if ((imports->traits & both) != both)
        imports->traits &= ~(1U << TRAIT_STDIO);
}

#define TRAIT_NAME(id, name) name,
static const char *const names[] = {TRAIT_TABLE(TRAIT_NAME)};

const char *trait_name(enum trait trait)
{
    return names[trait];
}
