/* The calls that make a socket, connect it and shut it down, or set and ask its options: noted, and passed on. A NULL
 * from next_*() is a call out of dlsym itself (next.h): the kernel is entered directly. */
#include "exports.h"

#include "kernel.h"
#include "lifecycle.h"
#include "next.h"

#include <asm/socket.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORT int socket(int domain, int type, int protocol)
{
    next_socket_function *next = next_socket();
    int fd =
        next != NULL ? next(domain, type, protocol) : (int)KERNEL_SOCKET_CALL(socket, SOCKET, domain, type, protocol);
    if (fd >= 0)
        lifecycle_made(fd, domain, type);
    return fd;
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
    next_socketpair_function *next = next_socketpair();
    int result = next != NULL ? next(domain, type, protocol, fds)
                              : (int)KERNEL_SOCKET_CALL(socketpair, SOCKETPAIR, domain, type, protocol, fds);
    if (result == 0)
        lifecycle_paired(fds, domain, type);
    return result;
}

EXPORT int accept(int listener, __SOCKADDR_ARG address, socklen_t *address_length)
{
    struct acceptance acceptance;
    lifecycle_accepting(&acceptance, listener, ADDRESS(address), address_length);
    next_accept_function *next = next_accept();
    int fd = next != NULL
                 ? next(listener, acceptance.address, acceptance.length)
                 : (int)KERNEL_SOCKET_CALL(accept4, ACCEPT4, listener, acceptance.address, acceptance.length, 0);
    if (fd >= 0)
        lifecycle_accepted(&acceptance, listener, fd);
    return fd;
}

EXPORT int accept4(int listener, __SOCKADDR_ARG address, socklen_t *address_length, int flags)
{
    struct acceptance acceptance;
    lifecycle_accepting(&acceptance, listener, ADDRESS(address), address_length);
    next_accept4_function *next = next_accept4();
    int fd = next != NULL
                 ? next(listener, acceptance.address, acceptance.length, flags)
                 : (int)KERNEL_SOCKET_CALL(accept4, ACCEPT4, listener, acceptance.address, acceptance.length, flags);
    if (fd >= 0)
        lifecycle_accepted(&acceptance, listener, fd);
    return fd;
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    struct connecting before = lifecycle_connecting(fd);
    next_connect_function *next = next_connect();
    int result = next != NULL ? next(fd, ADDRESS(address), length)
                              : (int)KERNEL_SOCKET_CALL(connect, CONNECT, fd, ADDRESS(address), length);
    lifecycle_connected(fd, ADDRESS(address), length, result, before);
    return result;
}

EXPORT int shutdown(int fd, int how)
{
    uint64_t before = lifecycle_shutting_down(fd, how);
    next_shutdown_function *next = next_shutdown();
    int result = next != NULL ? next(fd, how) : (int)KERNEL_SOCKET_CALL(shutdown, SHUTDOWN, fd, how);
    if (result != 0)
        lifecycle_shutdown_failed(fd, before);
    return result;
}

static int set_option(next_setsockopt_function *next, int fd, int level, int option, const void *value,
                      socklen_t length)
{
    int result = next != NULL ? next(fd, level, option, value, length)
                              : (int)KERNEL_SOCKET_CALL(setsockopt, SETSOCKOPT, fd, level, option, value, length);
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO_OLD || option == SO_RCVTIMEO_NEW))
        lifecycle_timeout_changed(fd);
    return result;
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    return set_option(next_setsockopt(), fd, level, option, value, length);
}

static int get_option(next_getsockopt_function *next, int fd, int level, int option, void *value, socklen_t *length)
{
    int result = next != NULL ? next(fd, level, option, value, length)
                              : (int)KERNEL_SOCKET_CALL(getsockopt, GETSOCKOPT, fd, level, option, value, length);
    if (result == 0 && level == SOL_SOCKET && option == SO_ERROR && *length == sizeof(int)) {
        int error;
        memcpy(&error, value, sizeof error);
        lifecycle_error_read(fd, error);
    }
    return result;
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    return get_option(next_getsockopt(), fd, level, option, value, length);
}

/* What 32-bit programs with 64-bit times call instead: next.h. libc's headers declare them only in such programs. */
#if __TIMESIZE == 32
int __setsockopt64(int fd, int level, int option, const void *value, socklen_t length);
int __getsockopt64(int fd, int level, int option, void *value, socklen_t *length);

EXPORT int __setsockopt64(int fd, int level, int option, const void *value, socklen_t length)
{
    return set_option(next___setsockopt64(), fd, level, option, value, length);
}

EXPORT int __getsockopt64(int fd, int level, int option, void *value, socklen_t *length)
{
    return get_option(next___getsockopt64(), fd, level, option, value, length);
}
#endif
