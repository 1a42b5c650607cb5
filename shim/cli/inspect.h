/* A look at a program before it is started: whether the library can be loaded into it. */
#ifndef INSPECT_H
#define INSPECT_H

#include <limits.h>
#include <stdbool.h>

enum inspect_verdict {
    INSPECT_TRACEABLE,
    INSPECT_NOT_FOUND,      /* or not executable: whoever starts it will be told */
    INSPECT_NO_INTERPRETER, /* a script whose interpreter is not there: the same */
    INSPECT_OTHER_CLASS,    /* 32 bits under a 64-bit library, or another machine's */
    INSPECT_STATIC,         /* no dynamic loader */
    INSPECT_OTHER_LIBC,     /* a loader that is not glibc's */
    INSPECT_PRIVILEGED,     /* setuid, setgid or capabilities: the loader ignores LD_PRELOAD */
};

struct inspection {
    enum inspect_verdict verdict;
    char path[PATH_MAX]; /* what was looked at: the program, or the interpreter of a script */
};

/* Look at what execvp(3) would run, through the interpreters of scripts: /bin/sh where a file names none. */
void inspect_program(const char *command, struct inspection *inspection);

/* Why it cannot be traced, and what helps: a phrase that follows its name and a colon. NULL for TRACEABLE,
 * NOT_FOUND and NO_INTERPRETER. */
const char *inspect_reason(enum inspect_verdict verdict);

#endif
