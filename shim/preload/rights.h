/* Descriptors that a message brought: SCM_RIGHTS, unix(7). */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <sys/socket.h>

/* Call `each` for every descriptor in the ancillary data of a message that was received. */
void rights_for_each(const struct msghdr *message, void (*each)(int fd));

/* The program does not get the message: nobody else would close them. */
void rights_close(const struct msghdr *message);

#endif
