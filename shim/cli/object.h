/* An ELF file, read as the kernel and the loader read it: by its segments and its dynamic section, whatever its
 * sections say. Every byte of it is taken as hostile. */
#ifndef OBJECT_H
#define OBJECT_H

#include "imports.h"
#include "machine.h"

#include <stdbool.h>
#include <stddef.h>

enum object_type {
    OBJECT_PROGRAM,    /* names a loader */
    OBJECT_STATIC,     /* a program without one */
    OBJECT_STATIC_PIE, /* the same, which moves itself */
    OBJECT_LIBRARY,
    OBJECT_LOADER, /* glibc's own, which can be run with a program as its argument */
    OBJECT_OTHER,  /* what is linked later, or a core dump */
};

struct object {
    struct kind kind;
    enum object_type type;
    bool go;                     /* from Go's own linker, or with Go in it */
    bool no_default;             /* DF_1_NODEFLIB: its libraries are not looked for in the usual directories */
    char *loader;                /* PT_INTERP; NULL */
    const char *rpath, *runpath; /* NULL, or lists with colons. In `strings`, as all the names are */
    const char *soname;          /* NULL */
    const char **needed;         /* the libraries that it names, in order */
    size_t needed_count;
    struct imports imports;
    char *strings;
};

/* What object_read() says where the fault is not the file's. */
extern const char object_no_memory[];

/* Read it; object_free() afterwards in any case. Returns NULL, or what is wrong as a phrase that follows the file's
 * name: "is no ELF file". The position of the descriptor is not used. */
const char *object_read(int fd, struct object *object);
void object_free(struct object *object);

/* Whether a loader's path is that of glibc. */
bool object_is_glibc_loader(const char *path);

#endif
