#include "machine.h"

#include <elf.h>
#include <stddef.h>
#include <stdio.h>

static const struct row {
    struct kind kind;
    const char *words, *directory, *platform;
} rows[] = {
    {{ELFCLASS64, EM_X86_64}, "64-bit x86-64", "x86_64-linux-gnu", "x86_64"},
    {{ELFCLASS32, EM_386}, "32-bit x86", "i386-linux-gnu", "i686"},
    {{ELFCLASS32, EM_X86_64}, "x32 (32-bit pointers on x86-64)", "x86_64-linux-gnux32", "x86_64"},
    {{ELFCLASS64, EM_AARCH64}, "64-bit ARM", "aarch64-linux-gnu", "aarch64"},
    {{ELFCLASS32, EM_ARM}, "32-bit ARM", "arm-linux-gnueabihf", "v7l"},
    {{ELFCLASS64, EM_PPC64}, "64-bit POWER", "powerpc64le-linux-gnu", NULL},
    {{ELFCLASS64, EM_S390}, "64-bit s390x", "s390x-linux-gnu", NULL},
    {{ELFCLASS64, EM_RISCV}, "64-bit RISC-V", "riscv64-linux-gnu", NULL},
    {{ELFCLASS64, EM_MIPS}, "64-bit MIPS", "mips64el-linux-gnuabi64", NULL},
    {{ELFCLASS32, EM_MIPS}, "32-bit MIPS", "mipsel-linux-gnu", NULL},
};

static const struct row *find(struct kind kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (kind_equals(rows[i].kind, kind))
            return &rows[i];
    return NULL;
}

const char *kind_words(struct kind kind, char room[64])
{
    const struct row *row = find(kind);
    if (row != NULL)
        return row->words;
    snprintf(room, 64, "%s, machine %d", kind.class == ELFCLASS64 ? "64-bit" : "32-bit", kind.machine);
    return room;
}

const char *kind_directory(struct kind kind)
{
    const struct row *row = find(kind);
    return row != NULL ? row->directory : NULL;
}

const char *kind_platform(struct kind kind)
{
    const struct row *row = find(kind);
    return row != NULL ? row->platform : NULL;
}
