#include "imports.h"

#include "recvshim/trace.h"
#include "trace/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* What a call is called by programs: by its name, by what _FORTIFY_SOURCE makes of it, and by what a 32-bit program
 * with a time_t of 64 bits calls it. */
static const struct form {
    const char *prefix, *suffix;
} forms[] = {{"", ""}, {"__", "_chk"}, {"__", "64"}};
#define FORMS (sizeof forms / sizeof forms[0])

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
    {"__read", TRAIT_OTHER_NAME},
    {"preadv2", TRAIT_OTHER_NAME},
    {"preadv64v2", TRAIT_OTHER_NAME},
    {"syscall", TRAIT_SYSCALL},
    {"dlopen", TRAIT_PLUGINS},
    {"dlmopen", TRAIT_PLUGINS},
};
#define SYMBOLS (sizeof symbols / sizeof symbols[0])

static bool is_form_of(const struct form *form, const char *call, const char *symbol)
{
    size_t prefix = strlen(form->prefix), length = strlen(call);
    return strncmp(symbol, form->prefix, prefix) == 0 && strncmp(symbol + prefix, call, length) == 0 &&
           strcmp(symbol + prefix + length, form->suffix) == 0;
}

static bool is_call(const char *symbol, const char *call)
{
    for (size_t i = 0; i < FORMS; i++)
        if (is_form_of(&forms[i], call, symbol))
            return true;
    return false;
}

void imports_add(struct imports *imports, const char *symbol)
{
    for (uint32_t call = 0; call < RECVSHIM_CALLS; call++)
        if (is_call(symbol, call_names[call]))
            imports->calls |= 1U << call;
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
