/* A tree of processes of both classes, all of which receive at once, from two threads each, and count what they got in
 * a file that they have mapped together: children go on as they are, become the other program by exec, or are started
 * as it by vfork.
 *   tally=FILE   made where it is not there   self=PATH other=PATH   this program, and that of the other class
 *   depth=N width=N receives=N   children have one level less; each process and thread receives so often
 *   kill=1       processes of the lowest level receive until their parent kills them */
#include "victim.h"

#include "mixed.h"

#include <sys/mman.h>
#include <sys/wait.h>

static struct tally *tally;
static struct tally_entry *own;

static struct tally *map_tally(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0 && ftruncate(fd, sizeof(struct tally)) == 0, path);
    void *map = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED, "mmap");
    close(fd);
    return map;
}

static struct tally_entry *new_entry(void)
{
    uint32_t index = atomic_fetch_add(&tally->count, 1);
    must(index < TALLY_ENTRIES, "room in the tally");
    tally->entries[index].pid = (uint32_t)getpid();
    tally->entries[index].bits = 8 * sizeof(void *);
    return &tally->entries[index];
}

/* Counted once it has returned: of a process that is killed one more may be in the trace. */
static void *receive(void *times)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    for (long i = 0; i < (long)(intptr_t)times; i++)
        atomic_fetch_add(&own->receives, (uint32_t)exchange(fds, 1));
    return NULL;
}

static void receive_twice_at_once(long times)
{
    pthread_t thread;
    own = new_entry();
    must(pthread_create(&thread, NULL, receive, (void *)(intptr_t)times) == 0, "pthread_create");
    receive((void *)(intptr_t)times);
    pthread_join(thread, NULL);
}

static char **argv_of_child(char **argv, long depth)
{
    enum { MOST = 8 };
    static char *arguments[MOST + 1], text[32], swapped[2][4096];
    size_t count = 0;
    snprintf(text, sizeof text, "depth=%ld", depth);
    snprintf(swapped[0], sizeof swapped[0], "self=%s", option(argv, "other", ""));
    snprintf(swapped[1], sizeof swapped[1], "other=%s", option(argv, "self", ""));
    arguments[count++] = argv[0];
    arguments[count++] = text;
    arguments[count++] = swapped[0];
    arguments[count++] = swapped[1];
    for (size_t i = 1; argv[i] != NULL && count < MOST; i++)
        if (strncmp(argv[i], "depth=", 6) != 0 && strncmp(argv[i], "self=", 5) != 0 &&
            strncmp(argv[i], "other=", 6) != 0)
            arguments[count++] = argv[i];
    arguments[count] = NULL;
    return arguments;
}

int main(int argc, char **argv)
{
    (void)argc;
    tally = map_tally(option(argv, "tally", "tally"));
    const char *other = option(argv, "other", "");
    const long width = number(argv, "width", 3), receives = number(argv, "receives", 100);
    const bool kills = number(argv, "kill", 0) != 0;
    for (long depth = number(argv, "depth", 0);; depth--) {
        pid_t children[16];
        long started = 0;
        bool child = false;
        for (; depth > 0 && started < width && !child; started++) {
            char **arguments = argv_of_child(argv, depth - 1);
            bool by_vfork = started % 3 == 1;
            children[started] = by_vfork ? vfork() : fork();
            must(children[started] >= 0, "fork");
            if (children[started] == 0 && started % 3 != 0) {
                execv(other, arguments);
                _exit(72);
            }
            child = children[started] == 0;
        }
        if (child) /* a fork, one level down */
            continue;
        receive_twice_at_once(kills && depth == 0 ? 1000000000 : receives);
        for (long i = 0; i < started; i++) {
            int status;
            if (kills && depth == 1)
                kill(children[i], SIGKILL);
            must(waitpid(children[i], &status, 0) == children[i], "waitpid");
            must(status == 0 || (kills && status == SIGKILL), "a child");
        }
        _exit(0);
    }
}
