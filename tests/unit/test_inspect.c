#include "cli/check.h"

#include "elf_file.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

static enum inspect_verdict verdict_of(struct elf_file file)
{
    unlink(path);
    elf_file_write(&file, path);
    return verdict(path);
}
#define VERDICT(...) verdict_of((struct elf_file){__VA_ARGS__})

static void expect_reason(const char *part)
{
    cr_assert_not_null(strstr(reason, part), "%s", reason);
}

#define LOADER "/lib64/ld-linux-x86-64.so.2"

Test(inspect, has_a_word_for_each_kind)
{
    cr_assert_eq(VERDICT(.loader = LOADER), INSPECT_TRACEABLE);
    cr_assert_str_eq(reason, "");
    cr_assert_eq(VERDICT(.soname = "libx.so"), INSPECT_LIBRARY);
    cr_assert_eq(VERDICT(.soname = "ld-linux-x86-64.so.2"), INSPECT_TRACEABLE, "it loads what it runs");
    cr_assert_eq(VERDICT(.loader = "/lib/ld-musl-x86_64.so.1"), INSPECT_OTHER_LIBC);
    expect_reason("uses musl, not glibc");
    cr_assert_eq(VERDICT(.loader = "/system/bin/linker64"), INSPECT_OTHER_LIBC);
    expect_reason("uses /system/bin/linker64, not glibc");
    cr_assert_eq(VERDICT(.type = ET_EXEC, .no_dynamic = true), INSPECT_STATIC);
    expect_reason("is statically linked and cannot load");
    cr_assert_eq(VERDICT(.flags = DF_1_PIE), INSPECT_STATIC);
    expect_reason("(static-pie)");
    cr_assert_eq(VERDICT(.type = ET_EXEC, .no_dynamic = true, .go = true), INSPECT_GO);
    expect_reason("is a Go program, and statically linked:");
    cr_assert_eq(VERDICT(.loader = LOADER, .go = true), INSPECT_GO);
    expect_reason("is a Go program: it makes its network calls as raw system calls");
    cr_assert_eq(VERDICT(.loader = LOADER, .machine = EM_S390), INSPECT_OTHER_KIND);
    expect_reason("is for 64-bit s390x");
    cr_assert_eq(VERDICT(.loader = LOADER, .machine = 4711), INSPECT_OTHER_KIND);
    expect_reason("is for 64-bit, machine 4711");
    cr_assert_eq(VERDICT(.class = ELFCLASS32, .machine = EM_ARM, .loader = "/lib/ld-linux-armhf.so.3"),
                 INSPECT_OTHER_KIND);
    expect_reason("is for 32-bit ARM");
    cr_assert_eq(VERDICT(.type = ET_REL), INSPECT_NO_PROGRAM);
    expect_reason("no program");
}

/* What recvshim check prints of it. */
static const char *answer(void)
{
    static struct check check;
    static struct output output;
    static char text[1 << 16];
    check.name = path;
    inspect_program(path, &check.inspection);
    int fd = memfd_create("answer", MFD_CLOEXEC);
    output_init(&output, fd);
    check_text(&check, &output, false);
    cr_assert(output_flush(&output));
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    cr_assert_gt(length, 0);
    close(fd);
    inspect_free(&check.inspection);
    return text;
}

/* Found by fuzz_check: the reason has parts of the file in it. */
Test(inspect, gives_a_terminal_no_orders)
{
    VERDICT(.loader = "/lib/\033[2J\302\2331m");
    const char *text = answer();
    cr_assert_not_null(strstr(text, "it uses /lib/\\x1b[2J\\xc2\\x9b1m, not glibc"), "%s", text);
    cr_assert_null(strchr(text, '\033'));
}

Test(inspect, says_what_is_damaged)
{
    const struct elf_file file = {.loader = LOADER, .needed = {"libx.so"}};
    static unsigned char bytes[ELF_FILE_MAX];
    write_program(bytes, elf_file_make(&file, bytes) - 8, 0700);
    cr_assert_eq(verdict(path), INSPECT_NO_PROGRAM);
    expect_reason("is damaged");
    write_program("\177ELF", 4, 0700);
    cr_assert_eq(verdict(path), INSPECT_NO_PROGRAM);
    expect_reason("is cut short");
}

Test(inspect, knows_gained_privileges)
{
    VERDICT(.loader = LOADER);
    if (geteuid() == 0)
        cr_assert_eq(chown(path, 65534, 65534), 0);
    cr_assert_eq(chmod(path, 04755), 0);
    /* Setuid to the very user who runs it changes nothing. */
    cr_assert_eq(verdict(path), getuid() == 0 ? INSPECT_PRIVILEGED : INSPECT_TRACEABLE);
    cr_assert_eq(chmod(path, 02745), 0);
    cr_assert_eq(verdict(path), INSPECT_TRACEABLE, "without the group's x it is a lock, not setgid");
}

/* With them nothing is gained, also by what is setuid. */
Test(inspect, knows_when_privileges_cannot_be_gained)
{
    VERDICT(.loader = LOADER);
    if (geteuid() != 0)
        cr_skip_test("only root can give a file away");
    cr_assert_eq(chown(path, 65534, 65534), 0);
    cr_assert_eq(chmod(path, 06755), 0);
    cr_assert_eq(verdict(path), INSPECT_PRIVILEGED);
    expect_reason("setuid nobody, setgid nogroup");
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(verdict(path), INSPECT_TRACEABLE);
}

static enum inspect_verdict verdict_of_script(const char *first_line)
{
    char text[128];
    int length = snprintf(text, sizeof text, "%s\n", first_line);
    write_program(text, (size_t)length, 0700);
    return verdict(path);
}

Test(inspect, follows_env)
{
    cr_assert_eq(verdict_of_script("#!/usr/bin/env sh"), INSPECT_TRACEABLE);
    cr_assert_eq(verdict_of_script("#!/usr/bin/env -S sh -e"), INSPECT_TRACEABLE);
    cr_assert_eq(verdict_of_script("#!/usr/bin/env -S -u HOME A=1 sh"), INSPECT_TRACEABLE);
    cr_assert_eq(verdict_of_script("#!/usr/bin/env no-such-program-anywhere"), INSPECT_NO_INTERPRETER);
    cr_assert_eq(verdict_of_script("#!/usr/bin/env -S no-such-program-anywhere -e"), INSPECT_NO_INTERPRETER);
    static const char *const clearing[] = {"#!/usr/bin/env -iS sh", "#!/usr/bin/env - sh",
                                           "#!/usr/bin/env -S --ignore-environment sh", "#!/usr/bin/env -S -i A=1 sh"};
    for (size_t i = 0; i < sizeof clearing / sizeof clearing[0]; i++) {
        cr_assert_eq(verdict_of_script(clearing[i]), INSPECT_CLEARED, "%s", clearing[i]);
        expect_reason("is started by env -i, with an empty environment: start it as /");
        expect_reason(path);
    }
}

Test(inspect, knows_what_cannot_be_read)
{
    VERDICT(.loader = LOADER);
    cr_assert_eq(chmod(path, 0111), 0);
    cr_assert_eq(chmod(directory, 0755), 0);
    bool root = geteuid() == 0;
    if (root)
        cr_assert_eq(seteuid(65534), 0);
    enum inspect_verdict unreadable = verdict(path);
    if (root)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(unreadable, INSPECT_UNREADABLE);
}
