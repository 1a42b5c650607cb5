/* Loaded by LD_AUDIT, into a namespace of its own: looks at every binding and leaves it as it is. */
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#if __ELF_NATIVE_CLASS == 64
#define LA_SYMBIND la_symbind64
#else
#define LA_SYMBIND la_symbind32
#endif

unsigned int la_version(unsigned int version)
{
    return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie)
{
    (void)map;
    (void)namespace;
    (void)cookie;
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

uintptr_t LA_SYMBIND(ElfW(Sym) * symbol, unsigned int index, uintptr_t *from, uintptr_t *to, unsigned int *flags,
                     const char *name)
{
    static const char line[] = "audited\n";
    (void)index;
    (void)from;
    (void)to;
    (void)flags;
    if (strcmp(name, "recv") == 0 && write(STDERR_FILENO, line, sizeof line - 1) < 0)
        return 0;
    return symbol->st_value;
}
