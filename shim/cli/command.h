/* The subcommands. Each parses its own arguments; argv[0] is "recvshim NAME". The return value is the exit status. */
#ifndef COMMAND_H
#define COMMAND_H

/* Exit statuses. Those of `run` are env(1)'s and timeout(1)'s, so that the program's own can be told apart. */
enum {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_RUN_FAILED = 125,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL = 128, /* plus the signal's number */
};

int command_run(int argc, char **argv);
int command_show(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_control(int argc, char **argv);
int command_check(int argc, char **argv);

#endif
