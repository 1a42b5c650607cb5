#include "elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
    unsigned char *bytes;
    size_t size;
    bool wide;
};

static void put(struct image *image, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size && image->size < ELF_FILE_MAX; i++)
        image->bytes[image->size++] = (unsigned char)(i < sizeof value ? value >> 8 * i : 0);
}

/* What is 8 bytes wide, or 4. */
static void put_word(struct image *image, uint64_t value)
{
    put(image, value, image->wide ? 8 : 4);
}

static size_t put_text(struct image *image, const char *text)
{
    size_t at = image->size;
    for (const char *byte = text; *byte != '\0'; byte++)
        put(image, (unsigned char)*byte, 1);
    put(image, 0, 1);
    return at;
}

static void put_segment(struct image *image, uint32_t type, uint64_t offset, uint64_t size)
{
    put(image, type, 4);
    if (image->wide)
        put(image, PF_R, 4);
    for (int i = 0; i < 3; i++) /* offset and both addresses: it is loaded at 0 */
        put_word(image, offset);
    put_word(image, size);
    put_word(image, size);
    if (!image->wide)
        put(image, PF_R, 4);
    put_word(image, 8);
}

static void put_header(struct image *image, const struct elf_file *file, uint16_t segments)
{
    put(image, 0x464c457f, 4);
    put(image, (uint64_t)(image->wide ? ELFCLASS64 : ELFCLASS32), 1);
    put(image, ELFDATA2LSB, 1);
    put(image, EV_CURRENT, 1);
    put(image, 0, 9);
    put(image, (uint64_t)(file->type != 0 ? file->type : ET_DYN), 2);
    put(image, (uint64_t)(file->machine != 0 ? file->machine : EM_X86_64), 2);
    put(image, EV_CURRENT, 4);
    put_word(image, file->entry);
    put_word(image, image->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)); /* the segments' headers follow */
    put_word(image, 0);
    put(image, 0, 4);
    put(image, image->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), 2);
    put(image, image->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr), 2);
    put(image, segments, 2);
    put(image, 0, 6);
}

static void put_symbol(struct image *image, size_t name, uint16_t section)
{
    put(image, name, 4);
    if (!image->wide)
        put(image, 0, 8);
    put(image, STB_GLOBAL << 4 | STT_FUNC, 1);
    put(image, 0, 1);
    put(image, section, 2);
    if (image->wide)
        put(image, 0, 16);
}

static void put_relocation(struct image *image, uint64_t symbol)
{
    put_word(image, 0);
    if (image->wide) {
        put(image, symbol << 32 | R_X86_64_JUMP_SLOT, 8);
        put(image, 0, 8);
    } else {
        put(image, symbol << 8 | R_386_JMP_SLOT, 4);
    }
}

static void put_entry(struct image *image, uint64_t tag, uint64_t value)
{
    put_word(image, tag);
    put_word(image, value);
}

struct names {
    size_t start, needed[ELF_FILE_NAMES], imports[ELF_FILE_NAMES], defines, soname, rpath, runpath, size;
};

/* Where a name stands in the table of names; 0 of none. */
static size_t put_name(struct image *image, const struct names *names, const char *name)
{
    return name != NULL ? put_text(image, name) - names->start : 0;
}

static struct names put_names(struct image *image, const struct elf_file *file)
{
    struct names names = {.start = image->size};
    put(image, 0, 1);
    for (size_t i = 0; i < ELF_FILE_NAMES; i++) {
        names.needed[i] = put_name(image, &names, file->needed[i]);
        names.imports[i] = put_name(image, &names, file->imports[i]);
    }
    names.defines = put_name(image, &names, file->defines);
    names.soname = put_name(image, &names, file->soname);
    names.rpath = put_name(image, &names, file->rpath);
    names.runpath = put_name(image, &names, file->runpath);
    names.size = image->size - names.start;
    return names;
}

/* The dynamic section, and before it what it refers to. Returns where it begins. */
static size_t put_dynamic(struct image *image, const struct elf_file *file)
{
    struct names names = put_names(image, file);
    size_t symbols = image->size;
    uint64_t count = 0;
    put_symbol(image, 0, SHN_UNDEF);
    for (size_t i = 0; i < ELF_FILE_NAMES && names.imports[i] != 0; i++, count++)
        put_symbol(image, names.imports[i], SHN_UNDEF);
    if (names.defines != 0) {
        put_symbol(image, names.defines, 1);
        count++;
    }
    size_t relocations = image->size;
    for (uint64_t i = 1; i <= count; i++)
        put_relocation(image, i);
    size_t end = image->size, dynamic = end;
    for (size_t i = 0; i < ELF_FILE_NAMES && names.needed[i] != 0; i++)
        put_entry(image, DT_NEEDED, names.needed[i]);
    const struct {
        uint64_t tag, value;
    } entries[] = {
        {DT_SONAME, names.soname}, {DT_RPATH, names.rpath}, {DT_RUNPATH, names.runpath}, {DT_FLAGS_1, file->flags}};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (entries[i].value != 0)
            put_entry(image, entries[i].tag, entries[i].value);
    put_entry(image, DT_STRTAB, names.start);
    put_entry(image, DT_STRSZ, names.size);
    put_entry(image, DT_SYMTAB, symbols);
    put_entry(image, DT_JMPREL, relocations);
    put_entry(image, DT_PLTRELSZ, end - relocations);
    put_entry(image, DT_PLTREL, image->wide ? DT_RELA : DT_REL);
    put_entry(image, DT_NULL, 0);
    return dynamic;
}

size_t elf_file_make(const struct elf_file *file, unsigned char bytes[ELF_FILE_MAX])
{
    struct image image = {bytes, 0, file->class != ELFCLASS32}, headers = image;
    image.size = 512; /* room for the headers, which are written last */
    memset(bytes, 0, ELF_FILE_MAX);
    size_t loader = file->loader != NULL ? put_text(&image, file->loader) : 0, loader_end = image.size;
    image.size = (image.size + 7) & ~(size_t)7;
    size_t note = image.size;
    put(&image, 4, 4);
    put(&image, 4, 4);
    put(&image, 4, 4);
    put(&image, file->go ? 0x6f47 : 0x554e47, 4); /* Go, GNU */
    put(&image, 0x64697562, 4);
    size_t note_end = image.size;
    image.size = (image.size + 7) & ~(size_t)7;
    size_t dynamic = file->no_dynamic ? 0 : put_dynamic(&image, file);

    put_header(&headers, file, (uint16_t)(2 + (loader != 0) + !file->no_dynamic));
    put_segment(&headers, PT_LOAD, 0, image.size);
    put_segment(&headers, PT_NOTE, note, note_end - note);
    if (loader != 0)
        put_segment(&headers, PT_INTERP, loader, loader_end - loader);
    if (!file->no_dynamic)
        put_segment(&headers, PT_DYNAMIC, dynamic, image.size - dynamic);
    return image.size;
}

void elf_file_write(const struct elf_file *file, const char *path)
{
    static unsigned char bytes[ELF_FILE_MAX];
    size_t size = elf_file_make(file, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || fchmod(fd, 0700) != 0)
        abort();
    close(fd);
}
