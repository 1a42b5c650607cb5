/* A look at a program before it is started: whether the library can be loaded into it. */
#ifndef INSPECT_H
#define INSPECT_H

#include "object.h"
#include "resolve.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The names are those of the JSON output. */
#define INSPECT_TABLE(X)                                                                                               \
    X(TRACEABLE, "traceable")                                                                                          \
    X(NOT_FOUND, "not-found")           /* or not executable: whoever starts it will be told */                        \
    X(NO_INTERPRETER, "no-interpreter") /* a script whose interpreter is not there: the same */                        \
    X(UNREADABLE, "unreadable")         /* it may be executed, and is anybody's guess */                               \
    X(NO_PROGRAM, "no-program")         /* an ELF file that is damaged, or cannot be executed */                       \
    X(LIBRARY, "library")               /* which programs load */                                                      \
    X(OTHER_KIND, "other-kind")         /* of another class or machine, for which there is no library */               \
    X(GO, "go")                         /* raw system calls, also where it is dynamically linked */                    \
    X(STATIC, "static")                 /* no dynamic loader */                                                        \
    X(OTHER_LIBC, "other-libc")         /* a loader that is not glibc's */                                             \
    X(PRIVILEGED, "privileged")         /* setuid, setgid or capabilities: the loader ignores LD_PRELOAD */            \
    X(CLEARED, "cleared")               /* a script that has env(1) clear the environment first */                     \
    X(UNLOADED, "unloaded")             /* a process that was started without it */

#define INSPECT_ENUM(id, name) INSPECT_##id,
enum inspect_verdict { INSPECT_TABLE(INSPECT_ENUM) INSPECT_VERDICTS };
#undef INSPECT_ENUM

/* What its file says of privileges, and what they mean for this process. */
struct privileges {
    bool has_user, has_group, capabilities;
    bool gained; /* whoever this process is, it would gain them: the loader then runs in secure mode (AT_SECURE) */
    uid_t user;  /* of the file, with its setuid bit */
    gid_t group; /* with its setgid bit */
};

struct inspection {
    enum inspect_verdict verdict;
    struct resolution resolution;
    struct object object; /* the file at resolution.path, as far as it was read */
    struct privileges privileges;
    char library[PATH_MAX]; /* what would be loaded into it: its path, or where it is not */
    char reason[2 * PATH_MAX + 512];
};

/* Look at what execvp(3) would run, through the interpreters of scripts: /bin/sh where a file names none. */
void inspect_program(const char *command, struct inspection *inspection);
void inspect_free(struct inspection *inspection);

/* The same of a file that is open, and is closed; fd may be -1, with errno. */
void inspect_file(int fd, const char *path, struct inspection *inspection);

/* Judge anew, by what `privileges` says by now. */
void inspect_judge(struct inspection *inspection);

/* It has been loaded: whatever was said against it is not so. */
void inspect_settle(struct inspection *inspection);

/* Why it cannot be traced, and what helps: a phrase that follows its name. NULL where a program that runs can be, as
 * far as is known: TRACEABLE, UNREADABLE and those that nobody can run. */
const char *inspect_reason(const struct inspection *inspection);

const char *inspect_verdict_name(enum inspect_verdict verdict);

/* "setuid root", "setgid tty", "file capabilities": what a file has, as words in a list; "" of one that has none. */
void privileges_words(const struct privileges *privileges, char words[128]);

#endif
