/* How a command that goes on until it is told to stop is told. */
#ifndef STOP_H
#define STOP_H

#include <signal.h>
#include <stdbool.h>

/* Set by SIGINT or SIGTERM. */
extern volatile sig_atomic_t stop_requested;

/* An output that nobody reads is an error of a write, and no signal's matter. With `goes_on`, SIGINT and SIGTERM ask to
 * stop; the second one kills, should the output be waiting for its reader. */
void stop_begin(bool goes_on);

#endif
