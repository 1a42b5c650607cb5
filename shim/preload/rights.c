#include "rights.h"

#include "next.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

void rights_for_each(const struct msghdr *message, void (*each)(int fd))
{
    if (message->msg_control == NULL)
        return;
    for (const struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, (struct cmsghdr *)(uintptr_t)header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0))
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            each(fd);
        }
    }
}

static void close_one(int fd)
{
    next_close_function *next = next_close();
    if (next != NULL)
        next(fd);
}

/* close is a cancellation point, and the rest would stay open. */
void rights_close(const struct msghdr *message)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    rights_for_each(message, close_one);
    pthread_setcancelstate(state, NULL);
}
