/* A program that starts others while it holds live connections. Its children of vfork close every descriptor and put
 * its sockets on other numbers, as Python's subprocess does it, and that happens in the parent's memory. */
#include "tagged.h"

#include <sys/wait.h>

enum { CONNECTIONS = 5, CHILDREN = 10 };
static struct tagged connections[CONNECTIONS];

static void use_all(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        tagged_exchange(&connections[i]);
}

/* No call here returns to the parent's part of the stack before the child is gone. */
static void become_true(int child)
{
    dup2(connections[0].fd, connections[1].fd);
    dup2(STDIN_FILENO, connections[2].fd);
    close(connections[3].fd);
    if (child % 2 == 0)
        close_range(3, ~0U, 0);
    else
        closefrom(3);
    execl("/bin/true", "true", NULL);
    _exit(70);
}

/* Another socket in the child, on a number of the parent's. */
static void become_true_after_a_socket(void)
{
    close(connections[0].fd);
    if (socket(AF_INET, SOCK_DGRAM, 0) == connections[0].fd)
        execl("/bin/true", "true", NULL);
    _exit(70);
}

int main(int argc, char **argv)
{
    (void)argc;
    bool by_fork = number(argv, "fork", 0) != 0;
    for (int i = 0; i < CONNECTIONS; i++)
        connections[i] = i < 3 ? tagged_tcp() : tagged_unix(i == 3 ? SOCK_DGRAM : SOCK_STREAM);
    say("port", port_of(connections[0].fd, false));
    use_all();
    for (int child = 0; child < CHILDREN; child++) {
        pid_t pid = by_fork ? fork() : vfork();
        if (pid == 0 && child % 3 == 2)
            become_true_after_a_socket();
        if (pid == 0)
            become_true(child);
        int status;
        must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
        use_all();
    }
    /* Its type is known as well as before: nothing in it is no end. */
    must(send(connections[3].peer, "", 0, 0) == 0, "send");
    must(tagged_receive(connections[3].fd, connections[3].tag) == 0, "empty");
    for (int i = 0; i < CONNECTIONS; i++) {
        close(connections[i].peer);
        if (i != 3)
            must(tagged_receive(connections[i].fd, connections[i].tag) == 0, "eof");
        close(connections[i].fd);
    }
    return 0;
}
