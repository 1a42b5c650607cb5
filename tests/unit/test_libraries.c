/* The libraries of a program, found where ld.so(8) says. */
#include "cli/libraries.h"
#include "cli/loader_cache.h"
#include "cli/reception.h"
#include "elf_file.h"
#include "trace/calls.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"

static char directory[] = "/tmp/recvshim-unit-XXXXXX";
static struct libraries libraries;
static char paths[8][PATH_MAX];
static size_t path_count;

static void begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    libraries_begin(&libraries);
}

static void end(void)
{
    char command[64];
    libraries_free(&libraries);
    snprintf(command, sizeof command, "rm -r %s", directory);
    cr_assert_eq(system(command), 0); /* NOLINT: nothing of it comes from outside */
}

TestSuite(libraries, .init = begin, .fini = end);

static const char *path_of(const char *name)
{
    char *path = paths[path_count++ % 8];
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return path;
}

static void make_directory(const char *name)
{
    cr_assert_eq(mkdir(path_of(name), 0700), 0);
}

static void write_object(const char *name, struct elf_file file)
{
    elf_file_write(&file, path_of(name));
}
#define OBJECT(name, ...) write_object(name, (struct elf_file){__VA_ARGS__})

static void walk(const char *search, const char *cache)
{
    const struct library_places places = {search, cache != NULL ? cache : "/nonexistent"};
    libraries_free(&libraries);
    libraries_begin(&libraries);
    libraries_walk(&libraries, path_of("program"), &places);
}

/* Where the walk found a library, below the test's directory; NULL where it did not. */
static const char *found(const char *name)
{
    for (size_t i = 0; i < libraries.count; i++)
        if (strcmp(libraries.items[i].name, name) == 0)
            return libraries.items[i].path != NULL ? libraries.items[i].path + sizeof directory : NULL;
    return NULL;
}

static void expect_found(const char *name, const char *where)
{
    const char *path = found(name);
    cr_assert(path != NULL && strcmp(path, where) == 0, "%s: %s", name, path);
}

Test(libraries, follow_runpath_of_the_one_that_asks)
{
    make_directory("lib");
    make_directory("other");
    OBJECT("program", .loader = LOADER, .runpath = "$ORIGIN/lib", .needed = {"liba.so", "libb.so"});
    OBJECT("lib/liba.so", .needed = {"libown.so", "libb.so"});
    OBJECT("lib/libb.so", .runpath = "${ORIGIN}/../other", .needed = {"libd.so"});
    OBJECT("lib/libown.so", .soname = "libown.so");
    OBJECT("other/libd.so", .soname = "libd.so");
    walk(NULL, NULL);
    expect_found("liba.so", "lib/liba.so");
    expect_found("libb.so", "lib/libb.so");
    expect_found("libd.so", "lib/../other/libd.so");
    cr_assert_null(found("libown.so"), "a RUNPATH is for those who have it alone");
    cr_assert_eq(libraries.count, 5);
    cr_assert_eq(libraries.items[3].wanted_by, 1);
    walk(path_of("lib"), NULL);
    expect_found("libown.so", "lib/libown.so");
}

Test(libraries, follow_rpath_of_those_above)
{
    make_directory("lib");
    make_directory("other");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN/other:$ORIGIN/lib", .needed = {"liba.so"});
    OBJECT("lib/liba.so", .needed = {"libown.so"});
    OBJECT("lib/libown.so", .soname = "libown.so");
    walk(NULL, NULL);
    expect_found("libown.so", "lib/libown.so");
    OBJECT("lib/liba.so", .runpath = "$ORIGIN/../other", .needed = {"libown.so"});
    walk(NULL, NULL);
    cr_assert_null(found("libown.so"), "nor that of those above");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN/lib", .runpath = "$ORIGIN/other", .needed = {"liba.so"});
    walk(NULL, NULL);
    cr_assert_null(found("liba.so"), "no RPATH where there is a RUNPATH");
}

/* LD_LIBRARY_PATH comes before RUNPATH, and after RPATH. */
Test(libraries, keep_the_order)
{
    make_directory("lib");
    make_directory("other");
    OBJECT("lib/liba.so", .soname = "liba.so");
    OBJECT("other/liba.so", .soname = "liba.so");
    OBJECT("program", .loader = LOADER, .runpath = "$ORIGIN/lib", .needed = {"liba.so"});
    walk(path_of("other"), NULL);
    expect_found("liba.so", "other/liba.so");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN/lib", .needed = {"liba.so"});
    walk(path_of("other"), NULL);
    expect_found("liba.so", "lib/liba.so");
}

Test(libraries, pass_over_other_kinds)
{
    make_directory("32");
    make_directory("64");
    OBJECT("32/liba.so", .class = ELFCLASS32, .machine = EM_386, .soname = "liba.so");
    OBJECT("64/liba.so", .soname = "liba.so");
    OBJECT("program", .loader = LOADER, .runpath = "$ORIGIN/32:$ORIGIN/64", .needed = {"liba.so"});
    walk(NULL, NULL);
    expect_found("liba.so", "64/liba.so");
    cr_assert_eq(libraries.count, 2);
}

Test(libraries, are_loaded_once)
{
    OBJECT("liba.so", .soname = "libother.so", .needed = {"program", "liba.so", "libother.so", "libalias.so"});
    cr_assert_eq(symlink("liba.so", path_of("libalias.so")), 0);
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"liba.so", "liba.so", "ld-linux-x86-64.so.2"});
    walk(NULL, NULL);
    cr_assert_eq(libraries.count, 2);
}

Test(libraries, with_a_path_are_looked_for_nowhere_else)
{
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s", path_of("liba.so"));
    OBJECT("liba.so", .soname = "liba.so");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {program, "$ORIGIN/liba.so", "./libb.so"});
    walk(NULL, NULL);
    cr_assert_eq(libraries.count, 3);
    cr_assert_null(libraries.items[2].path);
    cr_assert_str_eq(libraries.items[2].name, "./libb.so");
}

Test(libraries, may_be_unreadable)
{
    int fd = open(path_of("liba.so"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, "INPUT(libb.so)\n", 15), 15);
    close(fd);
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"liba.so"});
    walk(NULL, NULL);
    cr_assert_eq(libraries.count, 2);
    cr_assert_str_eq(libraries.items[1].problem, "is no ELF file, or is cut short");
}

/* ---- the cache ---- */

static const char *write_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    return path;
}

/* As ldconfig writes it: header, entries, strings. */
static size_t make_cache(char bytes[1024], const char *const names[], const char *const values[], uint32_t count)
{
    memset(bytes, 0, 1024);
    memcpy(bytes, "glibc-ld.so.cache1.1", 20);
    memcpy(bytes + 20, &count, sizeof count);
    size_t at = 48 + 24 * (size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offsets[2] = {(uint32_t)at, (uint32_t)(at + strlen(names[i]) + 1)};
        memcpy(bytes + 48 + 24 * i + 4, offsets, sizeof offsets);
        at += (size_t)sprintf(bytes + at, "%s", names[i]) + 1;
        at += (size_t)sprintf(bytes + at, "%s", values[i]) + 1;
    }
    return at;
}

Test(libraries, come_from_the_cache)
{
    char bytes[1024], older[1200] = "ld.so-1.7.0";
    make_directory("32");
    OBJECT("32/liba.so", .class = ELFCLASS32, .machine = EM_386, .soname = "liba.so");
    OBJECT("liba.so", .soname = "liba.so");
    char own[PATH_MAX], other[PATH_MAX];
    snprintf(own, sizeof own, "%s", path_of("liba.so"));
    snprintf(other, sizeof other, "%s", path_of("32/liba.so"));
    size_t size = make_cache(bytes, (const char *const[]){"libz.so", "liba.so", "liba.so"},
                             (const char *const[]){"/z", other, own}, 3);
    const char *cache = write_bytes("cache", bytes, size);
    OBJECT("program", .loader = LOADER, .needed = {"liba.so"});
    walk(NULL, cache);
    expect_found("liba.so", "liba.so");

    uint32_t one = 1; /* an entry of the older table, and what aligns the newer one */
    memcpy(older + 12, &one, sizeof one);
    memcpy(older + 32, bytes, size);
    walk(NULL, write_bytes("older", older, 32 + size));
    expect_found("liba.so", "liba.so");

    OBJECT("program", .loader = LOADER, .flags = DF_1_NODEFLIB, .needed = {"liba.so"});
    walk(NULL, cache);
    cr_assert_null(found("liba.so"));
}

Test(libraries, have_nothing_of_a_cache_that_is_cut_or_bent)
{
    char bytes[1024];
    size_t size = make_cache(bytes, (const char *const[]){"liba.so"}, (const char *const[]){"/nowhere"}, 1);
    for (size_t cut = 0; cut <= size; cut++) {
        struct loader_cache cache;
        size_t at = 0;
        loader_cache_open(&cache, write_bytes("cache", bytes, cut));
        const char *path = loader_cache_next(&cache, "liba.so", &at);
        cr_assert(path == NULL || strncmp(path, "/nowhere", strlen(path)) == 0);
        loader_cache_close(&cache);
    }
    memset(bytes + 20, 0xff, 4);     /* a count without end */
    memset(bytes + 48 + 4, 0xff, 8); /* strings beyond it */
    struct loader_cache cache;
    size_t at = 0;
    loader_cache_open(&cache, write_bytes("cache", bytes, size));
    cr_assert_null(loader_cache_next(&cache, "liba.so", &at));
    loader_cache_close(&cache);
}

/* ---- what they receive by ---- */

static enum reception judge(const char *by, uint32_t handled)
{
    const struct library *item;
    walk(NULL, NULL);
    enum reception reception = reception_judge(&libraries, handled, &item);
    cr_assert_str_eq(item != NULL ? library_name(item) : "", by);
    return reception;
}

Test(libraries, tell_what_a_program_receives_by)
{
    OBJECT("libnet.so", .soname = "libnet.so", .imports = {"socket", "recv"});
    OBJECT("libfile.so", .soname = "libfile.so", .imports = {"read", "readv"});
    OBJECT("liblog.so", .soname = "liblog.so", .imports = {"socket", "recvmsg"});
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"libfile.so"}, .imports = {"puts"});
    cr_assert_eq(judge("libfile.so", CALLS_DEFAULT), RECEPTION_BLIND, "it may inherit sockets");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"libnet.so", "libfile.so"});
    cr_assert_eq(judge("libnet.so", CALLS_DEFAULT), RECEPTION_HANDLED, "who makes no sockets reads files");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"libnet.so", "liblog.so"});
    cr_assert_eq(judge("liblog.so", CALLS_DEFAULT), RECEPTION_MIXED);
    cr_assert_eq(judge("libnet.so", CALLS_ALL), RECEPTION_HANDLED);
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .needed = {"libnet.so"}, .imports = {"accept", "read"});
    cr_assert_eq(judge("program", CALLS_DEFAULT), RECEPTION_BLIND, "the program itself decides");
    OBJECT("program", .loader = LOADER, .rpath = "$ORIGIN", .imports = {"accept", "read", "recv"});
    cr_assert_eq(judge("program", CALLS_DEFAULT), RECEPTION_MIXED);
    OBJECT("program", .loader = LOADER, .imports = {"puts"});
    cr_assert_eq(judge("", CALLS_DEFAULT), RECEPTION_NONE);
}

Test(libraries, tell_what_would_help)
{
    char words[RECEPTION_WORDS_MAX];
    OBJECT("program", .loader = LOADER, .imports = {"socket", "read", "recvmsg"});
    walk(NULL, NULL);
    cr_assert(reception_advice(&libraries, CALLS_DEFAULT, words));
    cr_assert_str_eq(words, "program imports recvmsg and read, handled with --calls all only");
    cr_assert_not(reception_advice(&libraries, CALLS_ALL, words));
    OBJECT("program", .loader = LOADER, .imports = {"socket", "io_uring_queue_init"});
    walk(NULL, NULL);
    cr_assert(reception_advice(&libraries, CALLS_ALL, words));
    cr_assert_str_eq(words, "program uses io_uring, by which no receive is ever seen");
}
