#include "libraries.h"

#include "loader_cache.h"
#include "trace/regular.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARIES_MAX 2048 /* the largest desktop programs have some 300 */

void libraries_begin(struct libraries *libraries)
{
    memset(libraries, 0, sizeof *libraries);
}

void libraries_free(struct libraries *libraries)
{
    for (size_t i = 0; i < libraries->count; i++) {
        object_free(&libraries->items[i].object);
        free(libraries->items[i].name);
        free(libraries->items[i].path);
    }
    free(libraries->items);
}

const char *library_name(const struct library *item)
{
    const char *path = item->path != NULL ? item->path : item->name, *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static struct library *add(struct libraries *libraries, const char *name, const char *path)
{
    if (libraries->count == libraries->room) {
        size_t room = libraries->room > 0 ? 2 * libraries->room : 32;
        struct library *items = reallocarray(libraries->items, room, sizeof *items);
        libraries->out_of_memory |= items == NULL;
        if (items == NULL)
            return NULL;
        libraries->items = items;
        libraries->room = room;
    }
    struct library *item = &libraries->items[libraries->count];
    memset(item, 0, sizeof *item);
    item->name = strdup(name);
    item->path = path != NULL ? strdup(path) : NULL;
    if (item->name == NULL || (path != NULL && item->path == NULL)) {
        free(item->name);
        free(item->path);
        libraries->out_of_memory = true;
        return NULL;
    }
    libraries->count++;
    return item;
}

void libraries_add(struct libraries *libraries, const char *name, const char *path, int fd)
{
    struct library *item = add(libraries, name, path);
    struct stat file;
    if (item != NULL) {
        item->problem = object_read(fd, &item->object);
        libraries->out_of_memory |= item->problem == object_no_memory;
        if (fstat(fd, &file) == 0) {
            item->device = file.st_dev;
            item->inode = file.st_ino;
        }
    }
    close(fd);
}

bool libraries_have(const struct libraries *libraries, int fd)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return false;
    for (size_t i = 0; i < libraries->count; i++)
        if (libraries->items[i].path != NULL && libraries->items[i].device == file.st_dev &&
            libraries->items[i].inode == file.st_ino)
            return true;
    return false;
}

static bool is_called(const struct library *item, const char *name)
{
    return strcmp(item->name, name) == 0 || (item->object.soname != NULL && strcmp(item->object.soname, name) == 0);
}

static bool wants(const struct library *item, const struct library *other)
{
    for (size_t i = 0; i < item->object.needed_count; i++)
        if (is_called(other, item->object.needed[i]))
            return true;
    return false;
}

void libraries_relate(struct libraries *libraries)
{
    for (size_t i = 1; i < libraries->count; i++) {
        size_t by = 0;
        while (by < libraries->count && !wants(&libraries->items[by], &libraries->items[i]))
            by++;
        libraries->items[i].wanted_by = by < libraries->count ? by : 0;
    }
}

/* ---- where the loader looks ---- */

struct search {
    struct libraries *libraries;
    const struct library_places *places;
    const struct loader_cache *cache;
    const char *name; /* what is looked for */
    size_t by;        /* for whom */
};

/* Load the file, if it is one and of the program's kind: the loader passes over those of other kinds. */
static bool try_file(const struct search *search, const char *path)
{
    struct libraries *libraries = search->libraries;
    int fd = regular_open(path, O_RDONLY);
    if (fd < 0)
        return false;
    if (libraries_have(libraries, fd)) {
        close(fd);
        return true;
    }
    size_t before = libraries->count;
    libraries_add(libraries, search->name, path, fd);
    if (libraries->count == before)
        return true; /* no memory */
    struct library *item = &libraries->items[before];
    item->wanted_by = search->by;
    if (item->object.kind.class != 0 && !kind_equals(item->object.kind, libraries->items[0].object.kind)) {
        libraries->count--;
        object_free(&item->object);
        free(item->name);
        free(item->path);
        return false;
    }
    return true;
}

/* The value of what a path may hold: $ORIGIN, $LIB or $PLATFORM, also in braces. *length is what it takes there. */
static bool expand(const struct search *search, size_t owner, const char *at, size_t *length, char value[PATH_MAX])
{
    const struct library *item = &search->libraries->items[owner];
    bool braces = at[1] == '{';
    const char *name = at + (braces ? 2 : 1);
    static const char *const words[] = {"ORIGIN", "LIB", "PLATFORM"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        if (strncmp(name, words[i], size) != 0 || (braces && name[size] != '}'))
            continue;
        *length = (size_t)(name - at) + size + braces;
        const char *directory = kind_directory(item->object.kind), *platform = kind_platform(item->object.kind);
        if (i == 0) {
            char *slash = realpath(item->path, value) != NULL ? strrchr(value, '/') : NULL;
            if (slash == NULL)
                return false;
            *slash = '\0';
        } else if (i == 1) {
            snprintf(value, PATH_MAX, "lib/%s", directory != NULL ? directory : "");
        } else {
            snprintf(value, PATH_MAX, "%s", platform != NULL ? platform : "");
        }
        return true;
    }
    return false;
}

/* The directory of `length` bytes, as a path of the library in it; false where it is too long. */
static bool make_path(const struct search *search, size_t owner, const char *directory, size_t length, const char *name,
                      char path[PATH_MAX])
{
    size_t at = 0, used = 0;
    while (at < length) {
        char value[PATH_MAX];
        size_t taken = 1;
        value[0] = directory[at];
        value[1] = '\0';
        if (directory[at] == '$')
            expand(search, owner, directory + at, &taken, value);
        used += (size_t)snprintf(path + used, PATH_MAX - used, "%s", value);
        if (used >= PATH_MAX)
            return false;
        at += taken;
    }
    int rest = snprintf(path + used, PATH_MAX - used, "%s%s", length > 0 && *name != '\0' ? "/" : "", name);
    return rest >= 0 && (size_t)rest < PATH_MAX - used;
}

/* In a list of directories, as `owner` has it. An empty one is the current one. */
static bool try_list(const struct search *search, size_t owner, const char *list, const char *separators)
{
    char path[PATH_MAX];
    while (list != NULL) {
        size_t length = strcspn(list, separators);
        if (make_path(search, owner, list, length, search->name, path) && try_file(search, path))
            return true;
        list = list[length] != '\0' ? list + length + 1 : NULL;
    }
    return false;
}

/* DT_RPATH of who asks, and of who asked for that one, and so on: but not where there is a DT_RUNPATH. */
static bool try_rpaths(const struct search *search)
{
    const struct libraries *libraries = search->libraries; /* whose items may move */
    if (libraries->items[search->by].object.runpath != NULL)
        return false;
    for (size_t owner = search->by;; owner = libraries->items[owner].wanted_by) {
        const struct object *object = &libraries->items[owner].object;
        if (object->runpath == NULL && object->rpath != NULL && try_list(search, owner, object->rpath, ":"))
            return true;
        if (owner == 0)
            return false;
    }
}

static bool try_cache(const struct search *search)
{
    const char *path;
    for (size_t at = 0; (path = loader_cache_next(search->cache, search->name, &at)) != NULL;)
        if (try_file(search, path))
            return true;
    return false;
}

static bool try_defaults(const struct search *search)
{
    char list[256];
    const char *known = kind_directory(search->libraries->items[0].object.kind), *own = known != NULL ? known : "";
    snprintf(list, sizeof list, "/lib/%s:/usr/lib/%s:/lib64:/usr/lib64:/lib:/usr/lib", own, own);
    return try_list(search, 0, list, ":");
}

/* In the order of ld.so(8). */
static bool find(const struct search *search)
{
    const struct object *object = &search->libraries->items[search->by].object;
    char path[PATH_MAX];
    if (strchr(search->name, '/') != NULL)
        return make_path(search, search->by, search->name, strlen(search->name), "", path) && try_file(search, path);
    const char *runpath = object->runpath;
    bool no_default = object->no_default;
    return try_rpaths(search) || try_list(search, search->by, search->places->search, ":;") ||
           (runpath != NULL && try_list(search, search->by, runpath, ":")) ||
           (!no_default && (try_cache(search) || try_defaults(search)));
}

static bool is_known(const struct libraries *libraries, const char *name)
{
    for (size_t i = 0; i < libraries->count; i++)
        if (is_called(&libraries->items[i], name))
            return true;
    return false;
}

/* What the item at that place needs. Adding moves the items. */
static void load_needed(struct search *search)
{
    struct libraries *libraries = search->libraries;
    for (size_t i = 0; i < libraries->items[search->by].object.needed_count; i++) {
        search->name = libraries->items[search->by].object.needed[i];
        if (is_known(libraries, search->name) || object_is_glibc_loader(search->name))
            continue;
        if (libraries->count >= LIBRARIES_MAX || libraries->out_of_memory)
            return;
        if (!find(search)) {
            struct library *missing = add(libraries, search->name, NULL);
            if (missing != NULL)
                missing->wanted_by = search->by;
        }
    }
}

void libraries_walk(struct libraries *libraries, const char *path, const struct library_places *places)
{
    struct loader_cache cache;
    int fd = regular_open(path, O_RDONLY);
    if (fd < 0)
        return;
    libraries_add(libraries, path, path, fd);
    loader_cache_open(&cache, places->cache);
    struct search search = {.libraries = libraries, .places = places, .cache = &cache};
    for (; search.by < libraries->count; search.by++)
        load_needed(&search);
    loader_cache_close(&cache);
}
