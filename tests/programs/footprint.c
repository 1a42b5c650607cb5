/* What a process finds about itself: its threads, its descriptors, its signal handlers and its random numbers. */
#include "victim.h"

#include <dirent.h>

static void list(const char *path)
{
    DIR *entries = opendir(path);
    must(entries != NULL, path);
    dprintf(STDOUT_FILENO, "%s", path);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.')
            dprintf(STDOUT_FILENO, " %s", strtol(entry->d_name, NULL, 10) == getpid() ? "self" : entry->d_name);
    dprintf(STDOUT_FILENO, "\n");
    closedir(entries);
}

int main(void)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    say("received", exchange(fds, 3));
    list("/proc/self/task");
    list("/proc/self/fd");
    say("random", random());
    say("rand", rand());
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action;
        if (signal != SIGBUS && sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            say("handled", signal);
    }
    return 0;
}
