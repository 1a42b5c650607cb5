#include "object.h"

#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX  (UINT64_C(1) << 28) /* bytes of a table; those of the largest programs there are have a tenth */
#define LOADER_MAX 4096U               /* PATH_MAX: the kernel refuses more */
#define NEEDED_MAX 4096U

static const char damaged[] = "is damaged: its headers point outside of it";
const char object_no_memory[] = "cannot be read: not enough memory";

/* Where the tables are that the dynamic section names, in bytes of memory as loaded. */
struct dynamic {
    uint64_t strings, strings_size;
    uint64_t symbols;
    uint64_t relocations, relocations_size;               /* DT_RELA */
    uint64_t short_relocations, short_relocations_size;   /* DT_REL */
    uint64_t plt_relocations, plt_relocations_size, kind; /* DT_JMPREL, of the kind DT_RELA or DT_REL */
    uint64_t soname, rpath, runpath;                      /* in the strings, plus 1; 0: none */
    uint64_t flags;                                       /* DT_FLAGS_1 */
};

struct reading {
    Elf *elf;
    struct object *object;
    GElf_Ehdr header;
    size_t segments;
    struct dynamic dynamic;
    uint64_t *needed; /* in the strings */
};

/* The segment of that type, counted from *index on, which is then its. */
static bool find_segment(const struct reading *reading, GElf_Word type, size_t *index, GElf_Phdr *segment)
{
    for (; *index < reading->segments; ++*index)
        if (gelf_getphdr(reading->elf, (int)*index, segment) != NULL && segment->p_type == type)
            return true;
    return false;
}

/* A part of the file; NULL where it is not all there. */
static Elf_Data *read_part(const struct reading *reading, uint64_t offset, uint64_t size, Elf_Type type)
{
    if (size == 0 || size > TABLE_MAX || offset > INT64_MAX)
        return NULL;
    return elf_getdata_rawchunk(reading->elf, (int64_t)offset, size, type);
}

/* The same of memory as the program will be loaded. */
static Elf_Data *read_memory(const struct reading *reading, uint64_t address, uint64_t size, Elf_Type type)
{
    GElf_Phdr segment;
    for (size_t i = 0; find_segment(reading, PT_LOAD, &i, &segment); i++)
        if (address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz &&
            size <= segment.p_filesz - (address - segment.p_vaddr))
            return read_part(reading, segment.p_offset + (address - segment.p_vaddr), size, type);
    return NULL;
}

bool object_is_glibc_loader(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld64.so", 7) == 0 || strncmp(name, "ld.so", 5) == 0;
}

static const char *read_loader(struct reading *reading)
{
    GElf_Phdr segment;
    size_t index = 0;
    if (!find_segment(reading, PT_INTERP, &index, &segment))
        return NULL;
    const Elf_Data *data =
        segment.p_filesz > LOADER_MAX ? NULL : read_part(reading, segment.p_offset, segment.p_filesz, ELF_T_BYTE);
    if (data == NULL || data->d_buf == NULL)
        return damaged;
    reading->object->loader = strndup(data->d_buf, data->d_size);
    return reading->object->loader != NULL ? NULL : object_no_memory;
}

/* ---- Go ---- */

static bool has_go_note(const struct reading *reading)
{
    GElf_Phdr segment;
    for (size_t i = 0; find_segment(reading, PT_NOTE, &i, &segment); i++) {
        Elf_Data *data = read_part(reading, segment.p_offset, segment.p_filesz, ELF_T_NHDR);
        GElf_Nhdr note;
        size_t name, description, next = 0;
        while (data != NULL && (next = gelf_getnote(data, next, &note, &name, &description)) > 0)
            if (note.n_namesz == sizeof "Go\0" && memcmp((char *)data->d_buf + name, "Go\0", sizeof "Go\0") == 0)
                return true;
    }
    return false;
}

static bool has_go_section(const struct reading *reading)
{
    size_t names;
    Elf_Scn *section = NULL;
    if (elf_getshdrstrndx(reading->elf, &names) != 0)
        return false;
    while ((section = elf_nextscn(reading->elf, section)) != NULL) {
        GElf_Shdr header;
        const char *name =
            gelf_getshdr(section, &header) != NULL ? elf_strptr(reading->elf, names, header.sh_name) : NULL;
        if (name != NULL && (strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0))
            return true;
    }
    return false;
}

/* ---- the dynamic section ---- */

static bool note_entry(struct reading *reading, const GElf_Dyn *entry)
{
    struct dynamic *dynamic = &reading->dynamic;
    uint64_t value = entry->d_un.d_val;
    switch (entry->d_tag) {
    case DT_STRTAB:
        dynamic->strings = value;
        return true;
    case DT_STRSZ:
        dynamic->strings_size = value;
        return true;
    case DT_SYMTAB:
        dynamic->symbols = value;
        return true;
    case DT_RELA:
        dynamic->relocations = value;
        return true;
    case DT_RELASZ:
        dynamic->relocations_size = value;
        return true;
    case DT_REL:
        dynamic->short_relocations = value;
        return true;
    case DT_RELSZ:
        dynamic->short_relocations_size = value;
        return true;
    case DT_JMPREL:
        dynamic->plt_relocations = value;
        return true;
    case DT_PLTRELSZ:
        dynamic->plt_relocations_size = value;
        return true;
    case DT_PLTREL:
        dynamic->kind = value;
        return true;
    case DT_SONAME:
        dynamic->soname = value + 1;
        return true;
    case DT_RPATH:
        dynamic->rpath = value + 1;
        return true;
    case DT_RUNPATH:
        dynamic->runpath = value + 1;
        return true;
    case DT_FLAGS_1:
        dynamic->flags = value;
        return true;
    case DT_NEEDED:
        if (reading->object->needed_count == NEEDED_MAX)
            return false;
        reading->needed[reading->object->needed_count++] = value;
        return true;
    default:
        return true;
    }
}

static const char *read_dynamic(struct reading *reading, bool *there)
{
    GElf_Phdr segment;
    GElf_Dyn entry;
    size_t index = 0;
    *there = find_segment(reading, PT_DYNAMIC, &index, &segment);
    if (!*there)
        return NULL;
    Elf_Data *data = read_part(reading, segment.p_offset, segment.p_filesz, ELF_T_DYN);
    reading->needed = calloc(NEEDED_MAX, sizeof *reading->needed);
    if (data == NULL)
        return damaged;
    if (reading->needed == NULL)
        return object_no_memory;
    for (int i = 0; gelf_getdyn(data, i, &entry) != NULL && entry.d_tag != DT_NULL; i++)
        if (!note_entry(reading, &entry))
            return damaged;
    return NULL;
}

/* The name at that offset; NULL where it is none. */
static const char *string_at(const struct reading *reading, uint64_t offset)
{
    return offset < reading->dynamic.strings_size ? reading->object->strings + offset : NULL;
}

/* All names are in one table, of which a copy is kept. */
static const char *read_strings(struct reading *reading)
{
    struct dynamic *dynamic = &reading->dynamic;
    struct object *object = reading->object;
    if (dynamic->strings_size == 0) {
        object->needed_count = 0;
        return NULL;
    }
    const Elf_Data *data = read_memory(reading, dynamic->strings, dynamic->strings_size, ELF_T_BYTE);
    if (data == NULL || data->d_buf == NULL)
        return damaged;
    object->strings = malloc(data->d_size + 1);
    object->needed = calloc(object->needed_count + 1, sizeof *object->needed);
    if (object->strings == NULL || object->needed == NULL)
        return object_no_memory;
    memcpy(object->strings, data->d_buf, data->d_size);
    object->strings[data->d_size] = '\0';

    object->soname = dynamic->soname != 0 ? string_at(reading, dynamic->soname - 1) : NULL;
    object->rpath = dynamic->rpath != 0 ? string_at(reading, dynamic->rpath - 1) : NULL;
    object->runpath = dynamic->runpath != 0 ? string_at(reading, dynamic->runpath - 1) : NULL;
    for (size_t i = 0; i < object->needed_count; i++)
        if ((object->needed[i] = string_at(reading, reading->needed[i])) == NULL)
            return damaged;
    return NULL;
}

/* ---- what it imports ---- */

/* The number of the symbol that a relocation refers to, beyond the last one: 0. */
static bool read_relocation(Elf_Data *data, int index, bool with_addend, uint64_t *symbol)
{
    GElf_Rela full;
    GElf_Rel brief;
    if (with_addend && gelf_getrela(data, index, &full) != NULL)
        *symbol = GELF_R_SYM(full.r_info);
    else if (!with_addend && gelf_getrel(data, index, &brief) != NULL)
        *symbol = GELF_R_SYM(brief.r_info);
    else
        return false;
    return true;
}

static const char *find_last(const struct reading *reading, uint64_t address, uint64_t size, bool with_addend,
                             uint64_t *last)
{
    if (size == 0)
        return NULL;
    Elf_Data *data = read_memory(reading, address, size, with_addend ? ELF_T_RELA : ELF_T_REL);
    if (data == NULL)
        return damaged;
    uint64_t symbol;
    for (int i = 0; read_relocation(data, i, with_addend, &symbol); i++)
        if (symbol > *last)
            *last = symbol;
    return NULL;
}

/* Nothing in the file says how many symbols there are, but for sections, which need not be there, and hash tables. What
 * the loader will look up is what relocations refer to. */
static const char *read_imports(struct reading *reading)
{
    const struct dynamic *dynamic = &reading->dynamic;
    uint64_t last = 0;
    const char *problem = find_last(reading, dynamic->relocations, dynamic->relocations_size, true, &last);
    if (problem == NULL)
        problem = find_last(reading, dynamic->short_relocations, dynamic->short_relocations_size, false, &last);
    if (problem == NULL)
        problem = find_last(reading, dynamic->plt_relocations, dynamic->plt_relocations_size, dynamic->kind == DT_RELA,
                            &last);
    if (problem != NULL || last == 0)
        return problem;
    size_t size = gelf_fsize(reading->elf, ELF_T_SYM, 1, EV_CURRENT);
    Elf_Data *data = read_memory(reading, dynamic->symbols, (last + 1) * size, ELF_T_SYM);
    if (data == NULL)
        return damaged;
    GElf_Sym symbol;
    for (uint64_t i = 1; i <= last && gelf_getsym(data, (int)i, &symbol) != NULL; i++) {
        const char *name = symbol.st_shndx == SHN_UNDEF ? string_at(reading, symbol.st_name) : NULL;
        if (name != NULL)
            imports_add(&reading->object->imports, name);
    }
    imports_settle(&reading->object->imports);
    return NULL;
}

/* ---- all of it ---- */

static enum object_type tell_type(const struct reading *reading, bool dynamic)
{
    const struct object *object = reading->object;
    if (reading->header.e_type != ET_EXEC && reading->header.e_type != ET_DYN)
        return OBJECT_OTHER;
    if (object->loader != NULL)
        return OBJECT_PROGRAM;
    if (reading->header.e_type == ET_EXEC)
        return OBJECT_STATIC;
    if (!dynamic || (reading->dynamic.flags & DF_1_PIE) != 0)
        return OBJECT_STATIC_PIE;
    if (object->soname != NULL && object_is_glibc_loader(object->soname))
        return OBJECT_LOADER;
    /* What older linkers made does not say that it is a program. */
    bool starts = reading->header.e_entry != 0 && object->soname == NULL && object->needed_count == 0;
    return starts ? OBJECT_STATIC_PIE : OBJECT_LIBRARY;
}

static const char *read_all(struct reading *reading)
{
    struct object *object = reading->object;
    bool dynamic;
    if (gelf_getehdr(reading->elf, &reading->header) == NULL || elf_getphdrnum(reading->elf, &reading->segments) != 0)
        return damaged;
    object->kind = (struct kind){reading->header.e_ident[EI_CLASS], reading->header.e_machine};
    if (reading->header.e_type != ET_EXEC && reading->header.e_type != ET_DYN)
        return NULL;
    GElf_Phdr last;
    if (reading->segments == 0 || reading->segments != reading->header.e_phnum ||
        gelf_getphdr(reading->elf, (int)reading->segments - 1, &last) == NULL)
        return damaged;
    object->go = has_go_note(reading) || has_go_section(reading);
    const char *problem = read_loader(reading);
    if (problem == NULL)
        problem = read_dynamic(reading, &dynamic);
    if (problem == NULL)
        problem = read_strings(reading);
    if (problem == NULL)
        problem = read_imports(reading);
    if (problem != NULL)
        return problem;
    object->no_default = (reading->dynamic.flags & DF_1_NODEFLIB) != 0;
    object->type = tell_type(reading, dynamic);
    return NULL;
}

const char *object_read(int fd, struct object *object)
{
    struct reading reading = {.object = object};
    memset(object, 0, sizeof *object);
    object->type = OBJECT_OTHER;
    elf_version(EV_CURRENT);
    reading.elf = elf_begin(fd, ELF_C_READ, NULL);
    const char *problem = elf_kind(reading.elf) == ELF_K_ELF ? read_all(&reading) : "is no ELF file, or is cut short";
    if (problem != NULL)
        object->needed_count = 0; /* some may not have a name */
    free(reading.needed);
    elf_end(reading.elf);
    return problem;
}

void object_free(struct object *object)
{
    free(object->loader);
    free(object->needed);
    free(object->strings);
}
