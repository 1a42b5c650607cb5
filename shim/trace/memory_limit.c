#include "memory_limit.h"

#include "identity.h"
#include "line.h"

#include <stdbool.h>
#include <string.h>

/* Of each version of cgroups: the name of its controller in /proc/self/cgroup, where it is mounted, the file. */
static const struct hierarchy {
    const char *controller, *root, *file;
} hierarchies[] = {{"memory", "/sys/fs/cgroup/memory", "/memory.limit_in_bytes"},
                   {"", "/sys/fs/cgroup", "/memory.max"}};

/* Of one cgroup. Anything but a number is no limit: `max', or no such file. */
static uint64_t limit_of(const struct hierarchy *hierarchy, const char *path, size_t length)
{
    char name[512], text[32];
    struct line line = {name, sizeof name, 0};
    line_add(&line, hierarchy->root);
    line_add_bytes(&line, path, length);
    line_add(&line, hierarchy->file);
    identity_read_line(name, text, sizeof text);
    uint64_t limit = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        limit = limit * 10 + (uint64_t)(*at - '0');
    return at != text ? limit : UINT64_MAX;
}

/* Of one and all above it. Where the path is another namespace's, as in many containers, the root is its own. */
static uint64_t lowest_limit(const struct hierarchy *hierarchy, const char *path, size_t length)
{
    uint64_t lowest = limit_of(hierarchy, path, 0);
    while (length > 0) {
        uint64_t limit = limit_of(hierarchy, path, length);
        lowest = limit < lowest ? limit : lowest;
        do {
            length--;
        } while (length > 0 && path[length] != '/');
    }
    return lowest;
}

uint64_t memory_limit(void)
{
    char text[1024];
    uint64_t lowest = UINT64_MAX;
    identity_read_line("/proc/self/cgroup", text, sizeof text);
    /* Lines of `number:controllers:/path'. One with several controllers has no memory among them but by somebody's own
     * mounts, which are not looked for. */
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *controller = memchr(line, ':', length);
        const char *path =
            controller != NULL ? memchr(controller + 1, ':', length - (size_t)(controller + 1 - line)) : NULL;
        for (size_t i = 0; path != NULL && i < sizeof hierarchies / sizeof hierarchies[0]; i++) {
            size_t name = strlen(hierarchies[i].controller);
            bool same =
                (size_t)(path - controller - 1) == name && memcmp(controller + 1, hierarchies[i].controller, name) == 0;
            uint64_t limit =
                same ? lowest_limit(&hierarchies[i], path + 1, length - (size_t)(path + 1 - line)) : UINT64_MAX;
            lowest = limit < lowest ? limit : lowest;
        }
        line += length + (line[length] == '\n');
    }
    return lowest;
}
