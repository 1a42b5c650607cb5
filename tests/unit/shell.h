/* Running the built command, and what it printed. The library that it preloads does nothing. */
#ifndef SHELL_H
#define SHELL_H

#include <stddef.h>
#include <sys/types.h>

extern char directory[];                     /* the test's own */
extern char path[64];                        /* of a file in it; not there at first */
extern char said[1 << 14], printed[1 << 18]; /* on stderr, on stdout, by the last STATUS() */

/* Around each test. */
void shell_begin(void);
void shell_end(void);

pid_t start(char *const argv[], int out, int err);
/* Its exit status, or the negated number of the signal that killed it. */
int wait_status(pid_t pid);
int status_of(char *const argv[]);
#define STATUS(...) status_of((char *[]){"recvshim", __VA_ARGS__, NULL})

/* One line, of ours, with that in it. */
void expect_said(const char *part);

/* Everything that promtool, if it is there, has to say of what stands in `printed`: nothing. */
void check_with_promtool(void);

/* What a file holds, as text; the descriptor is closed. */
void slurp(int fd, char *text, size_t size);

/* Write the file at `path`. */
void write_file(const void *bytes, size_t size, mode_t mode);

/* A trace in a file, with this many events lost of 20. */
void make_trace(void);

#endif
