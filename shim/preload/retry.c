#include "retry.h"

#include "next.h"

#include "trace/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

uint64_t retry_remaining(uint64_t timeout, uint64_t entry, uint64_t now)
{
    uint64_t spent = now > entry ? now - entry : 0;
    return timeout > spent ? timeout - spent : 0;
}

static void count(uint32_t *retries)
{
    if (*retries != UINT32_MAX)
        ++*retries;
}

/* Past our own definition, which would take it for the program's. */
static int ask(int fd, int option, void *value, socklen_t *length)
{
    next_getsockopt_function *next = next_getsockopt();
    return next != NULL ? next(fd, SOL_SOCKET, option, value, length) : -1;
}

/* SO_RCVTIMEO in nanoseconds; 0 for none, and where it cannot be read: the call itself will tell why. */
static uint64_t receive_timeout(int fd)
{
    struct timeval timeout = {0};
    socklen_t length = sizeof timeout;
    if (ask(fd, SO_RCVTIMEO, &timeout, &length) != 0)
        return 0;
    uint64_t seconds = (uint64_t)timeout.tv_sec;
    if (seconds > UINT64_MAX / NANOSECONDS_A_SECOND - 1)
        return 0;
    return seconds * NANOSECONDS_A_SECOND + (uint64_t)timeout.tv_usec * 1000;
}

static int socket_number(int fd, int option)
{
    int value = 0;
    socklen_t length = sizeof value;
    return ask(fd, option, &value, &length) == 0 ? value : 0;
}

/* A handler may have made it so, or another thread: the call would not wait then. */
static bool is_nonblocking(int fd)
{
    next_fcntl_function *next = next_fcntl();
    int flags = next != NULL ? next(fd, F_GETFL) : -1;
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

/* poll, a cancellation point only where `cancellable`: past libc it is none. */
static int poll_for(struct pollfd *fds, nfds_t count, struct timespec *limit, bool cancellable)
{
    return cancellable ? ppoll(fds, count, limit, NULL) : (int)syscall(SYS_ppoll, fds, count, limit, NULL, 0);
}

/* Wait until the socket may have something, at most for `nanoseconds`. *seen are poll's events, 0 on time-out or
 * interruption. Returns false where poll is refused: under a RLIMIT_NOFILE of 0, which locked-in programs have, and by
 * a filter of seccomp. */
static bool wait_for_data(const struct call *call, uint64_t nanoseconds, bool cancellable, uint32_t *retries,
                          short *seen)
{
    struct pollfd socket = {.fd = call->fd, .events = (short)(call->flags & MSG_OOB ? POLLPRI : POLLIN)};
    struct timespec limit = {.tv_sec = (time_t)(nanoseconds / NANOSECONDS_A_SECOND),
                             .tv_nsec = (long)(nanoseconds % NANOSECONDS_A_SECOND)};
    int ready = poll_for(&socket, 1, &limit, cancellable);
    *seen = 0;
    if (ready > 0)
        *seen = socket.revents;
    if (ready >= 0)
        return true;
    if (errno != EINTR)
        return false;
    count(retries);
    return true;
}

/* poll shows an error that a receive does not return (a full error queue, say): waiting on poll would spin. */
static void pause_shortly(uint64_t nanoseconds, bool cancellable)
{
    const uint64_t millisecond = 1000000;
    struct timespec limit = {.tv_nsec = (long)(nanoseconds < millisecond ? nanoseconds : millisecond)};
    poll_for(NULL, 0, &limit, cancellable);
}

/* Receive once some data has been taken: a cancellation now would lose it. Switched off for a call that does not block,
 * and not while waiting for more: a handler that leaves by siglongjmp would leave it so. */
static ssize_t receive_more(const struct call *call, size_t gathered, int flags)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ssize_t part = next_receive(call, gathered, flags);
    pthread_setcancelstate(state, NULL);
    return part;
}

/* The kernel's own time-out starts anew with each call, so a plain retry would wait for ever under a timer that ticks
 * faster (measured). The rest is waited for in poll, and setting SO_RCVTIMEO to the remainder is out of the question:
 * the socket may be shared. */
static struct retried receive_until(const struct call *call, uint64_t timeout, uint64_t entry, socklen_t room,
                                    uint32_t retries)
{
    const int flags = call->flags | MSG_DONTWAIT;
    const bool gather = (call->flags & MSG_WAITALL) != 0 && socket_number(call->fd, SO_TYPE) == SOCK_STREAM;
    size_t gathered = 0;
    short seen = POLLIN;
    ssize_t part;
    for (;;) {
        if (gathered > 0 && call->address != NULL && call->address_length != NULL)
            *call->address_length = room;
        part = gathered > 0 ? receive_more(call, gathered, flags) : next_receive(call, 0, flags);
        if (part > 0 && gather && gathered + (size_t)part < call->length) {
            gathered += (size_t)part;
        } else if (part >= 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else if (errno == EINTR) {
            count(&retries);
        }

        part = -1;
        uint64_t rest = retry_remaining(timeout, entry, clock_now());
        if (rest == 0 || is_nonblocking(call->fd)) {
            errno = EAGAIN;
            break;
        }
        if (seen != 0 && (seen & (POLLIN | POLLPRI)) == 0)
            pause_shortly(rest, gathered == 0);
        /* The deadline bounds how long a cancellation has to wait for what was gathered to be returned. */
        if (!wait_for_data(call, rest, gathered == 0, &retries, &seen)) {
            errno = EINTR; /* the last interruption is left to the program, as one that is exempt is */
            retries--;
            break;
        }
        /* An error behind data that was gathered stays on the socket for the next call, as it does in the kernel: a
         * receive would take it off. */
        if (gathered > 0 && (seen & POLLERR) != 0)
            break;
    }
    if (gathered > 0)
        part = (ssize_t)gathered + (part > 0 ? part : 0);
    return (struct retried){part, retries};
}

struct retried retry(const struct call *call, bool (*may_time_out)(int fd), uint64_t entry, socklen_t room)
{
    struct retried done = {.result = -1, .retries = 1};
    const bool waits = (call->flags & MSG_DONTWAIT) == 0;
    for (;;) {
        /* Asked anew each time: another thread may set it meanwhile, and a handler may. Where it is known not to be
         * set, the kernel is not asked. */
        uint64_t timeout = waits && may_time_out(call->fd) ? receive_timeout(call->fd) : 0;
        if (timeout != 0) {
            bool exempt = (call->flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL) ||
                          socket_number(call->fd, SO_RCVLOWAT) > 1;
            if (!exempt)
                return receive_until(call, timeout, entry != 0 ? entry : clock_now(), room, done.retries);
            errno = EINTR;
            done.retries--;
            return done;
        }
        done.result = next_receive(call, 0, call->flags);
        if (done.result >= 0 || errno != EINTR)
            return done;
        count(&done.retries);
    }
}
