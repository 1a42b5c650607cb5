/* A server that leaves behind what it was started with, and serves on: six connections before it and six after it, of
 * which the last is for a worker that it forks; then it ends with 9. The clients are sockets of its own.
 *   way=privileges   it goes into an empty root, and becomes nobody under limits; for root
 *   way=namespaces   it goes into new namespaces, where something else lies over the directory hide=PATH
 * Status 77: not permitted here. */
#include "victim.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CONNECTIONS = 6, RECEIVES = 3 };

static struct sockaddr_storage address;
static socklen_t address_length;
static int listener, clients[2 * CONNECTIONS];

static void serve_one(int client)
{
    char byte;
    must(connect(client, (struct sockaddr *)&address, address_length) == 0, "connect");
    int fd = accept(listener, NULL, NULL);
    must(fd >= 0, "accept");
    for (int i = 0; i < RECEIVES; i++)
        must(send(client, "x", 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1, "a receive");
    must(shutdown(client, SHUT_RDWR) == 0 && recv(fd, &byte, 1, 0) == 0, "the end");
    close(fd);
}

static void set_limit(int which, rlim_t value)
{
    struct rlimit limit = {value, value};
    must(setrlimit((__rlimit_resource_t)which, &limit) == 0, "setrlimit");
}

static void drop_privileges(void)
{
    if (geteuid() != 0)
        exit(77);
    must(chroot("/proc/self/fdinfo") == 0 && chdir("/") == 0, "chroot");
    must(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0, "setuid");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0, "prctl");
    set_limit(RLIMIT_FSIZE, 0);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_MEMLOCK, 0);
    set_limit(RLIMIT_NOFILE, 64);
}

static void enter_namespaces(const char *hide)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        exit(77);
    must(mount("none", hide, "tmpfs", 0, NULL) == 0, hide);
}

int main(int argc, char **argv)
{
    (void)argc;
    listener = bound(AF_INET, SOCK_STREAM, &address, &address_length);
    must(listen(listener, 1) == 0, "listen");
    for (int i = 0; i < 2 * CONNECTIONS; i++) /* of the old network */
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < CONNECTIONS; i++)
        serve_one(clients[i]);
    if (strcmp(option(argv, "way", "privileges"), "privileges") == 0)
        drop_privileges();
    else
        enter_namespaces(option(argv, "hide", NULL));
    for (int i = CONNECTIONS; i < 2 * CONNECTIONS - 1; i++)
        serve_one(clients[i]);
    pid_t worker = fork();
    if (worker == 0) {
        serve_one(clients[2 * CONNECTIONS - 1]);
        exit(8);
    }
    int status;
    must(worker > 0 && waitpid(worker, &status, 0) == worker && WEXITSTATUS(status) == 8, "worker");
    say("worker", worker);
    return 9;
}
