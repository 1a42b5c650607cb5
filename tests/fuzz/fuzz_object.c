/* libFuzzer: ELF files of any bytes, as the program that is asked about and as libraries that it names, and ld.so.cache.
 * What must hold of each is that it is answered: within the time limit, without a crash, with names that end, and with
 * every file closed.
 *
 * An input is cut into files, which are all that there is: what the code under test asks of the kernel, it gets from
 * here. That takes a tenth of the time, and nothing depends on what the machine has installed. */
#include "cli/libraries.h"
#include "cli/reception.h"
#include "trace/calls.h"
#include "trace/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the files ---- */

#define FILES 4
#define HEAD  (2 * (FILES - 1)) /* bytes: the length of each file but the last; what a file takes, the next has not */

static struct file {
    const char *path;
    const uint8_t *bytes; /* NULL: it is not there */
    size_t size;
    int fd; /* of another file, as libelf looks whether it is one */
    int opened;
} files[FILES] = {
    {.path = "/own/program"},
    {.path = "/own/a"}, /* found by $ORIGIN, a DT_RPATH or a DT_RUNPATH */
    {.path = "/lib/b"}, /* where libraries are looked for by default */
    {.path = "/cache"},
};

static struct file *find_path(const char *path)
{
    for (size_t i = 0; i < FILES; i++)
        if (files[i].bytes != NULL && strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static struct file *find_fd(int fd)
{
    for (size_t i = 0; i < FILES; i++)
        if (files[i].fd == fd && files[i].opened > 0)
            return &files[i];
    return NULL;
}

static void cut(const uint8_t *bytes, size_t size)
{
    size_t at = HEAD;
    for (size_t i = 0; i < FILES; i++) {
        size_t length = i < FILES - 1 ? (bytes[2 * i] | (size_t)bytes[2 * i + 1] << 8) : SIZE_MAX;
        files[i].size = length < size - at ? length : size - at;
        files[i].bytes = files[i].size > 0 ? bytes + at : NULL;
        at += files[i].size;
    }
}

/* ---- what is asked of the kernel ---- */

int regular_open(const char *path, int flags)
{
    struct file *file = find_path(path);
    if (file == NULL) {
        errno = ENOENT;
        return -1;
    }
    if (file->fd <= 0)
        file->fd = open("/dev/null", flags | O_CLOEXEC);
    file->opened++;
    return file->fd;
}

/* The linker leads the calls of these to __wrap_NAME; libFuzzer's own go on. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    struct file *file = find_fd(fd);
    if (file == NULL)
        return __real_close(fd);
    file->opened--;
    return 0;
}

static int tell(const struct file *file, struct stat *result)
{
    *result = (struct stat){
        .st_mode = S_IFREG | 0755, .st_size = (off_t)file->size, .st_dev = 1, .st_ino = 1 + (ino_t)(file - files)};
    return 0;
}

char *__wrap_realpath(const char *path, char *result);
char *__wrap_realpath(const char *path, char *result)
{
    return find_path(path) != NULL ? strcpy(result, path) : NULL;
}

/* libelf calls these two, and finds them here before libc's. */
int fstat(int fd, struct stat *result)
{
    const struct file *file = find_fd(fd);
    return file != NULL ? tell(file, result) : fstatat(fd, "", result, AT_EMPTY_PATH);
}

ssize_t pread(int fd, void *room, size_t size, off_t offset)
{
    const struct file *file = find_fd(fd);
    if (file == NULL)
        return preadv(fd, &(struct iovec){room, size}, 1, offset);
    if (offset < 0) {
        errno = EINVAL;
        return -1;
    }
    if ((size_t)offset >= file->size)
        return 0;
    size_t rest = file->size - (size_t)offset, got = size < rest ? size : rest;
    memcpy(room, file->bytes + offset, got);
    return (ssize_t)got;
}

ssize_t __real_read(int fd, void *room, size_t size);
ssize_t __wrap_read(int fd, void *room, size_t size);
ssize_t __wrap_read(int fd, void *room, size_t size)
{
    return find_fd(fd) != NULL ? pread(fd, room, size, 0) : __real_read(fd, room, size);
}

/* ---- the target ---- */

static volatile size_t lengths; /* names are read to their ends */

static void check_item(const struct library *item)
{
    const struct object *object = &item->object;
    size_t length = strlen(library_name(item));
    for (size_t i = 0; i < object->needed_count; i++)
        length += strlen(object->needed[i]);
    length += object->rpath != NULL ? strlen(object->rpath) : 0;
    length += object->runpath != NULL ? strlen(object->runpath) : 0;
    length += object->loader != NULL ? strlen(object->loader) : 0;
    lengths = length;
    if ((object->imports.calls & ~CALLS_ALL) != 0 || object->imports.traits >> TRAITS != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < HEAD)
        return 0;
    cut(bytes, size);
    const struct library_places places = {.search = "/search:$LIB", .cache = files[FILES - 1].path};
    struct libraries libraries;
    libraries_begin(&libraries);
    libraries_walk(&libraries, files[0].path, &places);
    for (size_t i = 0; i < libraries.count; i++)
        check_item(&libraries.items[i]);
    char words[RECEPTION_WORDS_MAX];
    const struct library *by;
    reception_judge(&libraries, CALLS_DEFAULT, &by);
    reception_advice(&libraries, CALLS_DEFAULT, words);
    libraries_free(&libraries);
    for (size_t i = 0; i < FILES; i++) {
        if (files[i].opened != 0)
            abort();
        files[i].bytes = NULL;
    }
    return 0;
}
