/* AddressSanitizer as a shared library (GCC's default, clang's -shared-libasan) ends the program where it is not the
 * first library to be loaded: a malloc before its own would blind it. This library has none, and its receives go on to
 * AddressSanitizer's. So it asks to be overlooked, by answering for the program what options there are.
 *
 * To put AddressSanitizer first in LD_PRELOAD, as it suggests, does harm, because every child inherits that: Debian's
 * perl and python3 then report leaks of their own, curl hangs, what has an RLIMIT_AS or another sanitizer aborts. And
 * ASAN_OPTIONS in the environment is what test runners set anew for the very children that need it. */
#include "exports.h"
#include "next.h"

#include <link.h>
#include <string.h>

/* Not declared in any header of libc's. */
const char *__asan_default_options(void);

static const char overlook[] = "verify_asan_link_order=0";

struct search {
    const void *asker;
    bool asks; /* the first library is the one that asks */
};

static bool contains(const struct dl_phdr_info *object, const void *address)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && (uintptr_t)address - start < segment->p_memsz)
            return true;
    }
    return false;
}

/* In the order of loading: the program, which has no name, the kernel's own, then the libraries. */
static int look_at(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    struct search *search = context;
    if (object->dlpi_name[0] == '\0' || strncmp(object->dlpi_name, "linux-", 6) == 0 || contains(object, overlook))
        return 0;
    search->asks = contains(object, search->asker);
    return 1;
}

/* Called before all constructors. A program's own answer hides this one, and ASAN_OPTIONS outweighs any. Which comes
 * first is left to AddressSanitizer where another library than this one stands before it; the answer, too. */
EXPORT __attribute__((cold)) const char *__asan_default_options(void)
{
    struct search search = {.asker = __builtin_return_address(0)};
    dl_iterate_phdr(look_at, &search);
    if (search.asks)
        return overlook;
    const char *(*next)(void) = (const char *(*)(void))(uintptr_t)next_find("__asan_default_options");
    return next != NULL ? next() : "";
}
