#include "cli/inspect.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/recvshim-unit-XXXXXX";
static char path[64], reason[sizeof((struct inspection *)0)->reason];

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/program", directory);
}

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}

TestSuite(inspect, .init = make_directory, .fini = remove_directory);

static void write_program(const void *bytes, size_t size, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    cr_assert_eq(chmod(path, mode), 0);
}

static enum inspect_verdict verdict(const char *command)
{
    static struct inspection inspection;
    inspect_program(command, &inspection);
    inspect_free(&inspection);
    memcpy(reason, inspection.reason, sizeof reason);
    return inspection.verdict;
}

/* A program of one header, as far as anybody looks. */
struct program {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    char loader[32];
};

static struct program make_program(const char *loader)
{
    struct program own = {0}, program = {0};
    FILE *self = fopen("/proc/self/exe", "re");
    cr_assert_eq(fread(&own.header, sizeof own.header, 1, self), 1);
    fclose(self);
    memcpy(program.header.e_ident, own.header.e_ident, EI_NIDENT);
    program.header.e_type = ET_DYN;
    program.header.e_machine = own.header.e_machine;
    program.header.e_version = EV_CURRENT;
    program.header.e_phoff = offsetof(struct program, segment);
    program.header.e_ehsize = sizeof program.header;
    program.header.e_phentsize = sizeof program.segment;
    program.header.e_phnum = 1;
    program.segment.p_type = PT_INTERP;
    program.segment.p_offset = offsetof(struct program, loader);
    program.segment.p_filesz = strlen(loader) + 1;
    strcpy(program.loader, loader);
    return program;
}

Test(inspect, follows_path_and_scripts)
{
    cr_assert_eq(verdict("sh"), INSPECT_TRACEABLE);
    cr_assert_eq(verdict("/bin/sh"), INSPECT_TRACEABLE);
    cr_assert_eq(verdict(""), INSPECT_NOT_FOUND);
    cr_assert_eq(verdict("no-such-program-anywhere"), INSPECT_NOT_FOUND);
    write_program("#! /bin/sh -e\n", 14, 0700);
    cr_assert_eq(verdict(path), INSPECT_TRACEABLE);
    write_program("#!/nonexistent\n", 15, 0700);
    cr_assert_eq(verdict(path), INSPECT_NO_INTERPRETER);
    write_program("echo\n", 5, 0700);
    cr_assert_eq(verdict(path), INSPECT_TRACEABLE, "the shell runs it");
    write_program("echo\n", 5, 0600);
    cr_assert_eq(verdict(path), INSPECT_NOT_FOUND, "it is not executable");

    char self[80];
    int length = snprintf(self, sizeof self, "#!%s\n", path);
    write_program(self, (size_t)length, 0700);
    cr_assert_eq(verdict(path), INSPECT_NOT_FOUND, "a script that names itself ends");
}

Test(inspect, looks_at_the_loader)
{
    struct program program = make_program("/lib64/ld-linux-x86-64.so.2");
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_TRACEABLE);
    program = make_program("/lib/ld-musl-x86_64.so.1");
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_OTHER_LIBC);
    program.segment.p_type = PT_LOAD;
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_STATIC);
    program = make_program("/lib64/ld-linux-x86-64.so.2");
    program.header.e_machine = EM_S390;
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_OTHER_KIND);
    program.header.e_ident[EI_CLASS] = ELFCLASS32;
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_OTHER_KIND);
    program = make_program("/lib64/ld-linux-x86-64.so.2");
    program.segment.p_offset = UINT64_MAX - 3;
    program.segment.p_filesz = UINT64_MAX;
    write_program(&program, sizeof program, 0700);
    cr_assert_eq(verdict(path), INSPECT_OTHER_LIBC);
    write_program(&program, 40, 0700);
    verdict(path); /* cut short: whatever it says, it says it */
}

Test(inspect, knows_gained_privileges)
{
    struct program program = make_program("/lib64/ld-linux-x86-64.so.2");
    write_program(&program, sizeof program, 0700);
    if (geteuid() == 0)
        cr_assert_eq(chown(path, 65534, 65534), 0);
    cr_assert_eq(chmod(path, 04755), 0);
    /* Setuid to the very user who runs it changes nothing. */
    cr_assert_eq(verdict(path), getuid() == 0 ? INSPECT_PRIVILEGED : INSPECT_TRACEABLE);
}
