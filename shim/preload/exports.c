/* The interposed symbols, and nothing else. exports.map lists them again, for the linker. */
#include "connection.h"
#include "next.h"
#include "receive.h"
#include "recorder.h"

#include <asm/socket.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* libc's headers declare an address as a union of pointers to every kind of sockaddr, passed as a pointer is. */
#define ADDRESS(argument) ((argument).__sockaddr__)

/* ---- receives ---- */

EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    struct call call = {RECVSHIM_CALL_RECV, fd, buffer, length, flags, NULL, NULL};
    return receive(&call);
}

EXPORT ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, __SOCKADDR_ARG address,
                        socklen_t *address_length) /* NOLINT(readability-non-const-parameter): it is, by the kernel */
{
    struct call call = {RECVSHIM_CALL_RECVFROM, fd, buffer, length, flags, ADDRESS(address), address_length};
    return receive(&call);
}

/* What _FORTIFY_SOURCE makes of the two: libc declares them only then, and aborts as these do. */
void __chk_fail(void) __attribute__((noreturn));
ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags, struct sockaddr *address,
                       socklen_t *address_length);

EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags)
{
    if (length > size)
        __chk_fail();
    return recv(fd, buffer, length, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags, struct sockaddr *address,
                              socklen_t *address_length)
{
    if (length > size)
        __chk_fail();
    return recvfrom(fd, buffer, length, flags, address, address_length);
}

/* ---- calls that make or close a socket, or set its time-out: noted, and passed on ----
 *
 * A NULL from next_*() is a call out of dlsym itself (next.h): the kernel is entered directly. */

EXPORT int socket(int domain, int type, int protocol)
{
    next_socket_function *next = next_socket();
    int fd = next != NULL ? next(domain, type, protocol) : (int)syscall(SYS_socket, domain, type, protocol);
    if (fd >= 0)
        connection_made(fd, type, recorder_new_connection());
    return fd;
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
    next_socketpair_function *next = next_socketpair();
    int result =
        next != NULL ? next(domain, type, protocol, fds) : (int)syscall(SYS_socketpair, domain, type, protocol, fds);
    if (result == 0) {
        connection_made(fds[0], type, recorder_new_connection());
        connection_made(fds[1], type, recorder_new_connection());
    }
    return result;
}

EXPORT int accept(int listener, __SOCKADDR_ARG address, socklen_t *address_length)
{
    next_accept_function *next = next_accept();
    int fd = next != NULL ? next(listener, ADDRESS(address), address_length)
                          : (int)syscall(SYS_accept4, listener, ADDRESS(address), address_length, 0);
    if (fd >= 0)
        connection_accepted(listener, fd, recorder_new_connection());
    return fd;
}

EXPORT int accept4(int listener, __SOCKADDR_ARG address, socklen_t *address_length, int flags)
{
    next_accept4_function *next = next_accept4();
    int fd = next != NULL ? next(listener, ADDRESS(address), address_length, flags)
                          : (int)syscall(SYS_accept4, listener, ADDRESS(address), address_length, flags);
    if (fd >= 0)
        connection_accepted(listener, fd, recorder_new_connection());
    return fd;
}

EXPORT int dup(int fd)
{
    next_dup_function *next = next_dup();
    int copy = next != NULL ? next(fd) : (int)syscall(SYS_dup, fd);
    if (copy >= 0)
        connection_duplicated(fd, copy);
    return copy;
}

EXPORT int dup2(int fd, int copy)
{
    next_dup2_function *next = next_dup2();
    int result = next != NULL ? next(fd, copy) : (int)syscall(SYS_dup3, fd, copy, 0);
    if (result >= 0)
        connection_duplicated(fd, copy);
    return result;
}

EXPORT int dup3(int fd, int copy, int flags)
{
    next_dup3_function *next = next_dup3();
    int result = next != NULL ? next(fd, copy, flags) : (int)syscall(SYS_dup3, fd, copy, flags);
    if (result >= 0)
        connection_duplicated(fd, copy);
    return result;
}

/* Forgotten before the call: after it another thread may already have the number. */
EXPORT int close(int fd)
{
    connection_closed(fd);
    next_close_function *next = next_close();
    return next != NULL ? next(fd) : (int)syscall(SYS_close, fd);
}

static int note_fcntl(int fd, int command, int result)
{
    if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        connection_duplicated(fd, result);
    return result;
}

/* The third argument is an int, a pointer or missing; read as a pointer it is passed on whole in each case, as libc's
 * own fcntl does it. */
EXPORT int fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    next_fcntl_function *next = next_fcntl();
    int result = next != NULL ? next(fd, command, argument) : (int)syscall(SYS_fcntl, fd, command, argument);
    return note_fcntl(fd, command, result);
}

/* What fcntl is called in programs built with 64-bit file offsets. */
EXPORT int fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    next_fcntl64_function *next = next_fcntl64();
    int result = next != NULL ? next(fd, command, argument) : (int)syscall(SYS_fcntl, fd, command, argument);
    return note_fcntl(fd, command, result);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    next_setsockopt_function *next = next_setsockopt();
    int result = next != NULL ? next(fd, level, option, value, length)
                              : (int)syscall(SYS_setsockopt, fd, level, option, value, length);
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO_OLD || option == SO_RCVTIMEO_NEW))
        connection_timeout_changed(fd);
    return result;
}
