#include "retry.h"

#include "buffers.h"
#include "next.h"

#include "trace/clock.h"
#include "trace/signal_names.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

uint64_t retry_remaining(uint64_t timeout, uint64_t entry, uint64_t now)
{
    uint64_t spent = now > entry ? now - entry : 0;
    if (timeout == RETRY_FOR_EVER)
        return RETRY_FOR_EVER;
    return timeout > spent ? timeout - spent : 0;
}

void retry_let_handlers_run(void)
{
    sigset_t none;
    sigemptyset(&none);
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

/* SO_RCVTIMEO in nanoseconds; RETRY_FOR_EVER for none, and where it cannot be read: the call itself will tell why. */
static uint64_t receive_timeout(int fd)
{
    struct timeval timeout = {0};
    socklen_t length = sizeof timeout;
    if (ask(fd, SO_RCVTIMEO, &timeout, &length) != 0 || (timeout.tv_sec == 0 && timeout.tv_usec == 0))
        return RETRY_FOR_EVER;
    uint64_t seconds = (uint64_t)timeout.tv_sec;
    if (seconds > UINT64_MAX / NANOSECONDS_A_SECOND - 1)
        return RETRY_FOR_EVER;
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
    return cancellable ? next_libc_ppoll(fds, count, limit, NULL) : (int)syscall(SYS_ppoll, fds, count, limit, NULL, 0);
}

/* A receive that goes on under a time-out. */
struct waiting {
    uint64_t timeout; /* SO_RCVTIMEO, which counts from `entry`; RETRY_FOR_EVER once it has been taken away */
    uint64_t entry;
    size_t gathered; /* bytes, of MSG_WAITALL */
    short seen;      /* what poll told of the socket, as long as nothing has come of it */
    bool blind;      /* poll is refused, and the kernel's receive is what waits */
};

/* How a wait for data ended. */
enum waited { WAITED, WAIT_INTERRUPTED, WAIT_REFUSED };

/* Wait until the socket may have something, at most for `nanoseconds`. Poll is refused under a RLIMIT_NOFILE of 0,
 * which locked-in programs have, and by a filter of seccomp. */
static enum waited wait_for_data(int fd, uint64_t nanoseconds, struct waiting *waiting)
{
    /* Of what follows data that was gathered, the urgent mark is to be seen, too. */
    struct pollfd socket = {.fd = fd, .events = (short)(waiting->gathered > 0 ? POLLIN | POLLPRI : POLLIN)};
    struct timespec limit = clock_timespec(nanoseconds);
    int ready = poll_for(&socket, 1, nanoseconds != RETRY_FOR_EVER ? &limit : NULL, waiting->gathered == 0);
    waiting->seen = 0;
    if (ready > 0)
        waiting->seen = socket.revents;
    if (ready >= 0)
        return WAITED;
    return errno == EINTR ? WAIT_INTERRUPTED : WAIT_REFUSED;
}

/* Poll has told of something that a receive did not return (a full error queue, data that was peeked at before, urgent
 * data further on, what another thread took): waiting on it at once would spin. */
static void pause_shortly(const struct waiting *waiting)
{
    const uint64_t millisecond = 1000000, rest = retry_remaining(waiting->timeout, waiting->entry, clock_now());
    struct timespec limit = clock_timespec(rest < millisecond ? rest : millisecond);
    poll_for(NULL, 0, &limit, waiting->gathered == 0);
}

/* Receive once some data has been taken: a cancellation now would lose it. Switched off for a call that does not block,
 * and not while waiting for more. Under a mask, because a handler that leaves by siglongjmp would leave it so; without
 * those that our own instructions may raise, or a lower interposer's. */
static ssize_t receive_more(const struct call *call, size_t gathered, int flags, socklen_t room)
{
    sigset_t most, before;
    int state;
    if (call->form == RECVSHIM_CALL_RECVFROM && call->address != NULL && call->address_length != NULL)
        *call->address_length = room;
    sigfillset(&most);
    for (int signal = 1; signal <= SIGNAL_MAX; signal++)
        if ((signals_of_faults() & signal_bit(signal)) != 0)
            sigdelset(&most, signal);
    sigprocmask(SIG_BLOCK, &most, &before);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ssize_t part = next_receive(call, gathered, flags);
    int error = errno;
    pthread_setcancelstate(state, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error; /* a handler that waited for the mask may have changed it */
    return part;
}

/* Whether what was gathered is all that one receive returns: the kernel's stops at the urgent mark (tcp_recvmsg), even
 * one with MSG_WAITALL. */
static bool is_at_mark(const struct call *call)
{
    int at_mark = 0;
    return ioctl(call->fd, SIOCATMARK, &at_mark) == 0 && at_mark != 0;
}

/* The last interruption is left to the program, as one that is exempt is. Where there was none, the kernel waits,
 * though for a whole time-out again; and not once something was gathered, which is returned. Returns as wait_on() does.
 */
static bool wait_without_poll(struct waiting *waiting, struct retried *done)
{
    waiting->blind = done->retries == 0 && waiting->gathered == 0;
    if (done->retries != 0)
        done->retries--;
    errno = EINTR;
    return waiting->blind;
}

/* Wait until it is worth while to receive again. Returns false where the receive is over: errno says why. */
static bool wait_on(const struct call *call, const struct retry_terms *terms, struct waiting *waiting,
                    struct retried *done)
{
    uint64_t attempt = terms->begun;
    if (waiting->seen != 0)
        pause_shortly(waiting);
    for (bool interrupted = false;; interrupted = true) {
        if (interrupted) {
            retry_let_handlers_run();
            waiting->timeout = receive_timeout(call->fd); /* another thread may have changed it, or a handler */
        }
        /* An expiry that coincides with a signal is an expiry. What was gathered is returned at the latest with the
         * deadline: where that was taken away, now. */
        uint64_t rest = retry_remaining(waiting->timeout, waiting->entry, clock_now());
        bool expired = rest == 0 || (waiting->gathered > 0 && rest == RETRY_FOR_EVER);
        /* Also of a handler that ran between two waits. */
        done->passed = !expired && (terms->passes(terms->begun) || (interrupted && terms->unexplained(attempt, true)));
        if (interrupted && !done->passed)
            count(&done->retries);
        if (expired || done->passed || is_nonblocking(call->fd)) {
            errno = done->passed ? EINTR : EAGAIN;
            return false;
        }
        attempt = terms->moment();
        /* The deadline bounds how long a cancellation has to wait for what was gathered to be returned. */
        enum waited how = wait_for_data(call->fd, rest, waiting);
        if (how == WAITED)
            return true;
        if (how == WAIT_REFUSED)
            return wait_without_poll(waiting, done);
    }
}

/* Whether what comes in several parts can be returned as one. Not where ancillary data belongs to one of them: what
 * came so far is then returned, as the kernel does where it is interrupted with some data (and of unix sockets, where
 * the next part is another sender's). */
static bool can_gather(const struct call *call)
{
    return call->form != RECVSHIM_CALL_RECVMMSG &&
           (call->form != RECVSHIM_CALL_RECVMSG || call->message->msg_controllen == 0);
}

/* The kernel's own time-out starts anew with each call, so a plain retry would wait for ever under a timer that ticks
 * faster (measured). The rest is waited for in poll, and setting SO_RCVTIMEO to the remainder is out of the question:
 * the socket may be shared. */
static void receive_until(const struct call *call, const struct retry_terms *terms, uint64_t timeout,
                          struct retried *done)
{
    const bool gather =
        (call->flags & MSG_WAITALL) != 0 && can_gather(call) && socket_number(call->fd, SO_TYPE) == SOCK_STREAM;
    struct waiting waiting = {.timeout = timeout, .entry = terms->entry != 0 ? terms->entry : clock_now()};
    ssize_t part = -1;
    do {
        const int flags = call->flags | (waiting.blind ? 0 : MSG_DONTWAIT);
        /* An error behind data that was gathered stays on the socket for the next call, as it does in the kernel: a
         * receive would take it off. */
        if (waiting.gathered > 0 && ((waiting.seen & POLLERR) != 0 || is_at_mark(call)))
            break;
        part = waiting.gathered > 0 ? receive_more(call, waiting.gathered, flags, terms->room)
                                    : next_receive(call, 0, flags);
        if (part > 0 && gather && waiting.gathered + (size_t)part < buffers_size(call)) {
            waiting.gathered += (size_t)part;
            waiting.seen = 0;
            part = -1;
        } else if (part >= 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else if (errno == EINTR) {
            count(&done->retries);
        }
    } while (wait_on(call, terms, &waiting, done));
    done->result = waiting.gathered > 0 ? (ssize_t)waiting.gathered + (part > 0 ? part : 0) : part;
}

struct retried retry_within_deadline(const struct call *call, const struct retry_terms *terms)
{
    struct retried done = {.result = -1};
    const bool waits = (call->flags & MSG_DONTWAIT) == 0;
    uint64_t timeout = waits && terms->may_ask ? receive_timeout(call->fd) : RETRY_FOR_EVER;
    done.timed = timeout != RETRY_FOR_EVER;
    if (done.timed)
        receive_until(call, terms, timeout, &done);
    else
        done.result = next_receive(call, 0, call->flags);
    return done;
}

/* Absorb what is made up, and make the attempt that follows, for which all the time is still there that there was.
 * Returns whether the call is over by that. */
static bool absorb_made_up(const struct call *call, const struct retry_terms *terms, struct retried *done)
{
    if (terms->waited)
        *done = retry_within_deadline(call, terms);
    else
        done->result = next_receive(call, 0, call->flags);
    const int error = errno;
    for (uint32_t left = terms->interruptions; left > 0; left--)
        count(&done->retries);
    errno = error;
    return done->result >= 0 || error != EINTR || done->timed;
}

struct retried retry(const struct call *call, const struct retry_terms *terms)
{
    struct retried done = {.result = -1};
    const bool waits = (call->flags & MSG_DONTWAIT) == 0;
    uint64_t attempt = terms->begun;
    if (terms->interruptions != 0 && absorb_made_up(call, terms, &done))
        return done;
    for (;;) {
        retry_let_handlers_run();
        /* Asked anew each time: another process may have set it, another thread, a handler. */
        uint64_t timeout = waits && terms->may_ask ? receive_timeout(call->fd) : RETRY_FOR_EVER;
        bool unknown = waits && !terms->may_ask && terms->may_time_out(call->fd);
        done.timed = unknown || timeout != RETRY_FOR_EVER;
        done.passed = terms->passes(terms->begun) || terms->unexplained(attempt, done.timed);
        bool exempt = unknown || (done.timed && ((call->flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL) ||
                                                 socket_number(call->fd, SO_RCVLOWAT) > 1));
        errno = EINTR;
        if (done.passed || exempt)
            return done;
        count(&done.retries);
        if (done.timed) {
            receive_until(call, terms, timeout, &done);
            return done;
        }
        attempt = terms->moment();
        done.result = next_receive(call, 0, call->flags);
        if (done.result >= 0 || errno != EINTR)
            return done;
    }
}
