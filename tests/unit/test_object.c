/* Reading ELF files: what an object is, needs and imports. tests/fuzz has the hostile ones. */
#include "cli/object.h"
#include "elf_file.h"
#include "trace/calls.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"

static int file_of(const void *bytes, size_t size)
{
    int fd = memfd_create("object", MFD_CLOEXEC);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    return fd;
}

static struct object read_file(struct elf_file file)
{
    static unsigned char bytes[ELF_FILE_MAX];
    struct object object;
    int fd = file_of(bytes, elf_file_make(&file, bytes));
    const char *problem = object_read(fd, &object);
    cr_assert_null(problem, "%s", problem);
    close(fd);
    return object;
}
#define READ(...) read_file((struct elf_file){__VA_ARGS__})

static enum object_type type_of(struct elf_file file)
{
    struct object object = read_file(file);
    object_free(&object);
    return object.type;
}
#define TYPE(...) type_of((struct elf_file){__VA_ARGS__})

Test(object, tells_kinds_of_files)
{
    cr_assert_eq(TYPE(.loader = LOADER), OBJECT_PROGRAM);
    cr_assert_eq(TYPE(.loader = LOADER, .type = ET_EXEC), OBJECT_PROGRAM);
    cr_assert_eq(TYPE(.type = ET_EXEC, .no_dynamic = true), OBJECT_STATIC);
    cr_assert_eq(TYPE(.flags = DF_1_PIE), OBJECT_STATIC_PIE);
    cr_assert_eq(TYPE(.no_dynamic = true), OBJECT_STATIC_PIE);
    cr_assert_eq(TYPE(.entry = 64), OBJECT_STATIC_PIE, "of an older linker");
    cr_assert_eq(TYPE(.entry = 64, .needed = {"libc.so.6"}), OBJECT_LIBRARY);
    cr_assert_eq(TYPE(.soname = "libx.so.1"), OBJECT_LIBRARY);
    cr_assert_eq(TYPE(.entry = 64, .soname = "ld-linux-x86-64.so.2"), OBJECT_LOADER);
    cr_assert_eq(TYPE(.type = ET_REL), OBJECT_OTHER);
    cr_assert_eq(TYPE(.type = ET_CORE), OBJECT_OTHER);
}

static void expect_names(int class, int machine)
{
    struct object object =
        READ(.class = class, .machine = machine, .loader = "/lib/some-loader", .soname = "own", .rpath = "/r",
             .runpath = "$ORIGIN/u", .needed = {"liba.so", "libb.so"}, .flags = DF_1_NODEFLIB,
             .imports = {"recv", "puts", "socket", "__read_chk"}, .defines = "recvmsg");
    cr_assert_eq(object.kind.class, class);
    cr_assert_eq(object.kind.machine, machine);
    cr_assert_str_eq(object.loader, "/lib/some-loader");
    cr_assert_str_eq(object.soname, "own");
    cr_assert_str_eq(object.rpath, "/r");
    cr_assert_str_eq(object.runpath, "$ORIGIN/u");
    cr_assert_eq(object.needed_count, 2);
    cr_assert_str_eq(object.needed[0], "liba.so");
    cr_assert_str_eq(object.needed[1], "libb.so");
    cr_assert(object.no_default);
    cr_assert_not(object.go);
    cr_assert_eq(object.imports.calls, 1U << RECVSHIM_CALL_RECV | 1U << RECVSHIM_CALL_READ, "not what it defines");
    cr_assert_eq(object.imports.traits, 1U << TRAIT_SOCKETS);
    object_free(&object);
}

Test(object, reads_both_classes_without_sections)
{
    expect_names(ELFCLASS64, EM_X86_64);
    expect_names(ELFCLASS32, EM_386);
}

Test(object, knows_go_by_its_note)
{
    struct object object = READ(.type = ET_EXEC, .no_dynamic = true, .go = true);
    cr_assert(object.go);
    object_free(&object);
}

Test(object, takes_a_file_for_a_socket_where_there_are_some)
{
    struct object object = READ(.soname = "x", .imports = {"fdopen", "fgets"});
    cr_assert_eq(object.imports.traits >> TRAIT_STDIO & 1, 0);
    object_free(&object);
    object = READ(.soname = "x", .imports = {"fdopen", "fgets", "accept"});
    cr_assert_eq(object.imports.traits >> TRAIT_STDIO & 1, 1);
    object_free(&object);
}

/* Every symbol of the table of calls, and one of each trait. */
Test(object, knows_what_symbols_mean)
{
#define CALL(symbol, call)                                                                                             \
    {                                                                                                                  \
        struct imports imports = {0};                                                                                  \
        imports_add(&imports, #symbol);                                                                                \
        cr_assert_eq(imports.calls, 1U << RECVSHIM_CALL_##call, #symbol);                                              \
    }
    CALL_SYMBOL_TABLE(CALL)
    static const struct {
        const char *symbol;
        enum trait trait;
    } rows[] = {
        {"getaddrinfo", TRAIT_RESOLVER}, {"__res_nsend", TRAIT_RESOLVER},    {"io_uring_queue_init", TRAIT_IO_URING},
        {"syscall", TRAIT_SYSCALL},      {"aio_read64", TRAIT_ASYNCHRONOUS}, {"splice", TRAIT_SPLICE},
        {"preadv2", TRAIT_PREADV2},      {"dlopen", TRAIT_PLUGINS},          {"accept4", TRAIT_SOCKETS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imports imports = {0};
        imports_add(&imports, rows[i].symbol);
        cr_assert_eq(imports.traits, 1U << rows[i].trait, "%s", rows[i].symbol);
    }
    struct imports none = {0};
    imports_add(&none, "recv_");
    imports_add(&none, "");
    cr_assert(none.calls == 0 && none.traits == 0);
}

static const char *problem_of(const void *bytes, size_t size)
{
    struct object object;
    int fd = file_of(bytes, size);
    const char *problem = object_read(fd, &object);
    object_free(&object);
    close(fd);
    return problem;
}

Test(object, says_what_is_wrong)
{
    static _Alignas(Elf64_Ehdr) unsigned char bytes[ELF_FILE_MAX];
    const struct elf_file file = {.loader = LOADER, .needed = {"liba.so"}, .imports = {"recv"}};
    size_t size = elf_file_make(&file, bytes);
    cr_assert_str_eq(problem_of("", 0), "is no ELF file, or is cut short");
    cr_assert_str_eq(problem_of("#!/bin/sh\n", 10), "is no ELF file, or is cut short");
    cr_assert_str_eq(problem_of(bytes, 20), "is no ELF file, or is cut short");
    cr_assert_str_eq(problem_of(bytes, 100), "is damaged: its headers point outside of it");
    cr_assert_str_eq(problem_of(bytes, size - 1), "is damaged: its headers point outside of it");
    cr_assert_null(problem_of(bytes, size));

    /* Its headers say so, and the loader would be surprised. */
    Elf64_Phdr *segments = (Elf64_Phdr *)(void *)(bytes + sizeof(Elf64_Ehdr));
    const uint16_t count = ((const Elf64_Ehdr *)(const void *)bytes)->e_phnum;
    for (uint16_t i = 0; i < count; i++) {
        const Elf64_Phdr before = segments[i];
        if (segments[i].p_type == PT_INTERP)
            segments[i].p_filesz = 4097; /* longer than any path */
        else if (segments[i].p_type == PT_LOAD)
            segments[i].p_vaddr += 1 << 20; /* nothing is where the dynamic section says */
        else
            continue;
        cr_assert_str_eq(problem_of(bytes, size), "is damaged: its headers point outside of it", "segment %u", i);
        segments[i] = before;
    }
}
