/* One receive, from the program's call to its return. */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "call.h"
#include "settings.h"

#include <sys/types.h>

/* Set once, by the constructor; the defaults hold for calls before it. */
extern struct settings receive_settings;

/* Make the call, with all that the settings ask for. Returns and sets errno as the call does. */
ssize_t receive(const struct call *call);

#endif
