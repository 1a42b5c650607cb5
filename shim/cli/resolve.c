#include "resolve.h"

#include "trace/regular.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_executable(const char *path)
{
    struct stat file;
    return access(path, X_OK) == 0 && stat(path, &file) == 0 && S_ISREG(file.st_mode);
}

/* The program that execvp(3) would find; false where there is none that may be executed. */
static bool find_command(const char *command, char path[PATH_MAX])
{
    if (strchr(command, '/') != NULL)
        return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX && is_executable(path);
    const char *directories = getenv("PATH");
    if (directories == NULL)
        directories = "/bin:/usr/bin";
    while (*command != '\0') {
        size_t length = strcspn(directories, ":");
        /* An empty directory is the current one. */
        if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, directories, length > 0 ? "/" : "", command) < PATH_MAX &&
            is_executable(path))
            return true;
        if (directories[length] == '\0')
            break;
        directories += length + 1;
    }
    return false;
}

static bool is_env(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash != NULL ? slash + 1 : path, "env") == 0;
}

/* What env(1) is to run, of the words of a first line, and whether it clears the environment. NULL where it names
 * none. */
static const char *find_in_env(char *words, bool *clears)
{
    char *rest = NULL;
    for (char *word = strtok_r(words, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        bool brief = word[0] == '-' && word[1] != '-';
        if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0) /* a variable, or a directory, follows */
            strtok_r(NULL, " \t", &rest);
        else if (strcmp(word, "-") == 0 || strcmp(word, "--ignore-environment") == 0 ||
                 (brief && word[1] != 'u' && strchr(word, 'i') != NULL))
            *clears = true;
        else if (word[0] != '-' && strchr(word, '=') == NULL)
            return word;
    }
    return NULL;
}

/* What runs a file that is no program: the interpreter that its first line names, else the shell. Returns false where
 * it is not there. */
static bool find_interpreter(int fd, char path[PATH_MAX], bool *clears)
{
    char line[256]; /* BINPRM_BUF_SIZE: the kernel reads no more */
    ssize_t length = pread(fd, line, sizeof line - 1, 0);
    line[length < 0 ? 0 : length] = '\0';
    if (strncmp(line, "#!", 2) != 0) {
        snprintf(path, PATH_MAX, "/bin/sh");
        return true;
    }
    line[strcspn(line, "\n")] = '\0';
    char *name = line + 2 + strspn(line + 2, " \t");
    char *words = name + strcspn(name, " \t");
    if (*words != '\0')
        *words++ = '\0';
    snprintf(path, PATH_MAX, "%s", name);
    const char *command = is_env(path) && access(path, X_OK) == 0 ? find_in_env(words, clears) : NULL;
    if (command == NULL || find_command(command, path))
        return true;
    snprintf(path, PATH_MAX, "%s", command);
    return false;
}

static bool is_elf(int fd)
{
    char magic[SELFMAG];
    return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* One file further. Returns false once it is known what is executed, or that nothing is. */
static bool follow(struct resolution *resolution)
{
    int fd = regular_open(resolution->path, O_RDONLY);
    if (fd < 0) {
        resolution->error = errno;
        resolution->result = errno == ENOENT ? RESOLVE_NO_INTERPRETER : RESOLVE_UNREADABLE;
        return false;
    }
    if (is_elf(fd)) {
        resolution->fd = fd;
        resolution->result = RESOLVE_FOUND;
        return false;
    }
    bool deep = resolution->scripts == RESOLVE_SCRIPTS_MAX;
    if (deep)
        resolution->result = RESOLVE_TOO_DEEP;
    else
        memcpy(resolution->script[resolution->scripts++], resolution->path, sizeof resolution->path);
    bool there = deep || find_interpreter(fd, resolution->path, &resolution->clears);
    if (!there)
        resolution->result = RESOLVE_NO_INTERPRETER;
    close(fd);
    return !deep && there;
}

void resolve(const char *command, struct resolution *resolution)
{
    resolution->result = RESOLVE_NOT_FOUND;
    resolution->fd = -1;
    resolution->error = 0;
    resolution->clears = false;
    resolution->scripts = 0;
    if (!find_command(command, resolution->path))
        return;
    while (follow(resolution))
        ;
}
