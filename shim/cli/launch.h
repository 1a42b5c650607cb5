/* Running a program as a child: started exactly as exec would, its signals passed on to it, its end waited for. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct launch {
    pid_t pid;
    bool killed;   /* once it has ended: by a signal */
    char comm[16]; /* the name it then had: of the last program that it ran */
    sigset_t mask; /* what this process had before: the child gets it */
    struct sigaction on_child, on_pipe;
};

/* Start argv[0], found as execvp(3) does. Signal dispositions and mask are those this process had. From then on,
 * signals to this process are passed on to the child. One at a time. Returns 0, or the errno with which it could not be
 * started: `pid` is then -1 if it was not for the program, but for want of a process or descriptor. */
int launch_start(struct launch *launch, char *const argv[]);

/* Sleep for `milliseconds`, or less where something happens. Returns true once the child has ended, with its exit
 * status, or 128 plus the signal that killed it; signals then are this process's own again. */
bool launch_wait(struct launch *launch, long milliseconds, int *status);

#endif
