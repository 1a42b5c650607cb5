#include "inspect.h"

#include "library.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 4 /* interpreters that are scripts themselves, as the kernel's limit in exec_binprm() */

/* The program that execvp(3) would find; false where there is none that may be executed. */
static bool resolve(const char *command, char path[PATH_MAX])
{
    if (strchr(command, '/') != NULL)
        return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX && access(path, X_OK) == 0;
    const char *directories = getenv("PATH");
    if (directories == NULL)
        directories = "/bin:/usr/bin";
    while (*command != '\0') {
        size_t length = strcspn(directories, ":");
        struct stat file;
        /* An empty directory is the current one. */
        if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, directories, length > 0 ? "/" : "", command) < PATH_MAX &&
            access(path, X_OK) == 0 && stat(path, &file) == 0 && S_ISREG(file.st_mode))
            return true;
        if (directories[length] == '\0')
            break;
        directories += length + 1;
    }
    return false;
}

/* What runs a file that is no program: the interpreter that its first line names, else the shell. */
static void find_interpreter(int fd, char path[PATH_MAX])
{
    char line[256]; /* BINPRM_BUF_SIZE: the kernel reads no more */
    ssize_t length = pread(fd, line, sizeof line - 1, 0);
    line[length < 0 ? 0 : length] = '\0';
    const char *name = "/bin/sh";
    if (strncmp(line, "#!", 2) == 0) {
        char *from = line + 2 + strspn(line + 2, " \t");
        from[strcspn(from, " \t\n")] = '\0';
        name = from;
    }
    snprintf(path, PATH_MAX, "%s", name);
}

/* Whether exec would raise privileges, so that the loader runs in secure mode (AT_SECURE). */
static bool is_privileged(int fd)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return false;
    if ((file.st_mode & S_ISUID) != 0 && file.st_uid != getuid())
        return true;
    if ((file.st_mode & S_ISGID) != 0 && (file.st_mode & S_IXGRP) != 0 && file.st_gid != getgid())
        return true;
    return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static bool is_glibc_loader(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld64.so", 7) == 0 || strncmp(name, "ld.so", 5) == 0;
}

/* The program's loader, from PT_INTERP; false where it has none. */
static bool read_loader(Elf *elf, int fd, char loader[PATH_MAX])
{
    size_t headers = 0;
    elf_getphdrnum(elf, &headers);
    for (size_t i = 0; i < headers; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, (int)i, &header) == NULL || header.p_type != PT_INTERP)
            continue;
        size_t size = header.p_filesz < PATH_MAX ? header.p_filesz : PATH_MAX - 1;
        ssize_t length = pread(fd, loader, size, (off_t)header.p_offset);
        loader[length < 0 ? 0 : length] = '\0';
        return true;
    }
    return false;
}

static bool is_32bit_library_there(void)
{
    static struct library library;
    return library_find(&library) && library_has_32bit(&library);
}

/* Whether there is a library that can be loaded into the program: of this command's class and machine, or of the 32-bit
 * class of the same machine. */
static bool is_served(Elf *elf)
{
    GElf_Ehdr program, own;
    bool same = true;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    Elf *self = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
    if (gelf_getehdr(elf, &program) != NULL && gelf_getehdr(self, &own) != NULL)
        same = (program.e_ident[EI_CLASS] == own.e_ident[EI_CLASS] && program.e_machine == own.e_machine) ||
               (program.e_machine == EM_386 && own.e_machine == EM_X86_64 && is_32bit_library_there());
    elf_end(self);
    if (fd >= 0)
        close(fd);
    return same;
}

static enum inspect_verdict judge_elf(Elf *elf, int fd)
{
    char loader[PATH_MAX];
    if (!is_served(elf))
        return INSPECT_OTHER_CLASS;
    if (!read_loader(elf, fd, loader))
        return INSPECT_STATIC;
    if (!is_glibc_loader(loader))
        return INSPECT_OTHER_LIBC;
    return is_privileged(fd) ? INSPECT_PRIVILEGED : INSPECT_TRACEABLE;
}

void inspect_program(const char *command, struct inspection *inspection)
{
    inspection->verdict = INSPECT_NOT_FOUND;
    if (!resolve(command, inspection->path))
        return;
    elf_version(EV_CURRENT);
    for (int scripts = 0; scripts <= SCRIPTS_MAX; scripts++) {
        /* A program may be executed without being read: nothing is known of it then. */
        int fd = open(inspection->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
            inspection->verdict = errno == ENOENT ? INSPECT_NO_INTERPRETER : INSPECT_TRACEABLE;
            return;
        }
        Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
        bool script = elf_kind(elf) != ELF_K_ELF;
        if (script)
            find_interpreter(fd, inspection->path);
        else
            inspection->verdict = judge_elf(elf, fd);
        elf_end(elf);
        close(fd);
        if (!script)
            return;
    }
}

const char *inspect_reason(enum inspect_verdict verdict)
{
    switch (verdict) {
    case INSPECT_TRACEABLE:
    case INSPECT_NOT_FOUND:
    case INSPECT_NO_INTERPRETER:
        return NULL;
    case INSPECT_OTHER_CLASS:
        return "was built for another class of machine than the library, and there is none of its class: neither it "
               "nor what it starts is traced; install the library for it";
    case INSPECT_STATIC:
        return "is statically linked and cannot load the library; trace a dynamically linked build of it";
    case INSPECT_OTHER_LIBC:
        return "does not use glibc and cannot load the library; trace a build for glibc";
    case INSPECT_PRIVILEGED:
        return "gains privileges when it starts, and the loader then ignores the library; run it as the user it "
               "changes to, or without the file's setuid bits and capabilities";
    }
    return NULL;
}
