/* Small ELF files, as far as a loader looks at them: what an object is, needs and imports. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_FILE_NAMES 8
#define ELF_FILE_MAX   4096

struct elf_file {
    int class, machine, type; /* 0: ELFCLASS64, EM_X86_64, ET_DYN */
    const char *loader;       /* PT_INTERP */
    const char *soname, *rpath, *runpath;
    const char *needed[ELF_FILE_NAMES];
    const char *imports[ELF_FILE_NAMES];
    const char *defines; /* a symbol, which is not imported */
    uint64_t flags;      /* DT_FLAGS_1 */
    uint64_t entry;
    bool go; /* the note of Go's linker */
    bool no_dynamic;
};

/* Returns its size. There are no sections. */
size_t elf_file_make(const struct elf_file *file, unsigned char bytes[ELF_FILE_MAX]);

/* The same, written to a path. */
void elf_file_write(const struct elf_file *file, const char *path);

#endif
