/* Which file execvp(3) would run for a command, through the interpreters of scripts. Nothing is executed. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <limits.h>
#include <stdbool.h>

#define RESOLVE_SCRIPTS_MAX 5 /* a script whose interpreter is a script: as the kernel's limit in exec_binprm() */

enum resolve_result {
    RESOLVE_FOUND,
    RESOLVE_NOT_FOUND,      /* nothing of that name, or it may not be executed */
    RESOLVE_NO_INTERPRETER, /* `path` is what a script asks for, and is not there */
    RESOLVE_UNREADABLE,     /* `path` may be executed and not read: it may be anything */
    RESOLVE_TOO_DEEP,       /* scripts without end */
};

struct resolution {
    enum resolve_result result;
    char path[PATH_MAX]; /* what is executed in the end */
    int fd;              /* it, open for reading, where it was found; else -1 */
    int error;           /* errno, where it is unreadable */
    bool clears;         /* a script has env(1) clear the environment first */
    unsigned int scripts;
    char script[RESOLVE_SCRIPTS_MAX][PATH_MAX]; /* those on the way */
};

void resolve(const char *command, struct resolution *resolution);

#endif
