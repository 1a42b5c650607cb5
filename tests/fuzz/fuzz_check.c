/* libFuzzer: what `recvshim check` reads: ELF files of any bytes, as the program that is asked about and as libraries
 * that it names, scripts, and ld.so.cache; or what /proc has of a process. It must all be answered: within the time
 * limit, without a crash, with names that end, nothing in the answer that is not text, and every file closed.
 *
 * An input is cut into files, which are all that there is: what the code under test asks of the kernel, it gets from
 * here. That takes a tenth of the time, and nothing depends on what the machine has installed. */
#include "cli/check.h"
#include "cli/library.h"
#include "cli/reception.h"
#include "printed.h"
#include "trace/calls.h"
#include "trace/regular.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the files ---- */

enum { PROGRAM, ONE, OTHER, CACHE, MAPS, ENVIRONMENT, AUXILIARY, STATUS, NAME, FILES };
#define HEAD (2 * (FILES - 1)) /* bytes: the length of each file but the last; what a file takes, the next has not */

static struct file {
    const uint8_t *bytes; /* NULL: it is not there */
    size_t size;
    int fd; /* of another file, as libelf looks whether it is one */
    int opened;
} files[FILES];

/* /own/a is found by $ORIGIN, a DT_RPATH or a DT_RUNPATH, /lib/b where libraries are looked for by default; /own/env
 * interprets scripts. */
static const struct {
    const char *path;
    int file;
} paths[] = {
    {"/own/program", PROGRAM},   {"/own/a", ONE},
    {"/own/env", ONE},           {"/lib/b", OTHER},
    {"/cache", CACHE},           {"/proc/1/exe", PROGRAM},
    {"/proc/1/maps", MAPS},      {"/proc/1/environ", ENVIRONMENT},
    {"/proc/1/auxv", AUXILIARY}, {"/proc/1/status", STATUS},
    {"/proc/1/comm", NAME},
};

static struct file *find_path(const char *path)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(paths[i].path, path) == 0)
            return files[paths[i].file].bytes != NULL ? &files[paths[i].file] : NULL;
    return NULL;
}

static bool is_of_process(const char *path)
{
    return strncmp(path, "/proc/1/", 8) == 0;
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

int __real_stat(const char *path, struct stat *result);
int __wrap_stat(const char *path, struct stat *result);
int __wrap_stat(const char *path, struct stat *result)
{
    const struct file *file = find_path(path);
    return file != NULL ? tell(file, result) : __real_stat(path, result);
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    (void)mode;
    errno = ENOENT;
    return find_path(path) != NULL ? 0 : -1;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    const struct file *file = find_path(path);
    if (file != NULL)
        return fmemopen((void *)(uintptr_t)file->bytes, file->size, "r"); /* is not written to */
    return is_of_process(path) ? NULL : __real_fopen(path, mode);
}

/* The program of the process is called what the process is. */
ssize_t __wrap_readlink(const char *path, char *room, size_t size);
ssize_t __wrap_readlink(const char *path, char *room, size_t size)
{
    const struct file *name = &files[NAME];
    (void)path;
    if (name->bytes == NULL) {
        errno = ENOENT;
        return -1;
    }
    size_t length = name->size < size ? name->size : size;
    memcpy(room, name->bytes, length);
    return (ssize_t)length;
}

/* Its descriptors are not looked at. */
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
    errno = EACCES;
    return is_of_process(path) ? NULL : __real_opendir(path);
}

/* No file has capabilities. */
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    (void)fd, (void)name, (void)value, (void)size;
    errno = ENODATA;
    return -1;
}

int __wrap_fstatvfs(int fd, struct statvfs *result);
int __wrap_fstatvfs(int fd, struct statvfs *result)
{
    (void)fd;
    *result = (struct statvfs){0};
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

bool library_find(struct own_library *library)
{
    strcpy(library->path, "/lib/librecvshim.so");
    return true;
}

/* There is one for one kind of programs. */
bool library_find_for(struct kind kind, char path[PATH_MAX])
{
    strcpy(path, "/lib/librecvshim.so");
    return kind.class == ELFCLASS64;
}

bool check_is_good(const struct check *check)
{
    return check->inspection.verdict == INSPECT_TRACEABLE;
}

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

static struct check check;

/* As command_check() has it. */
static void look_at_program(void)
{
    const struct library_places places = {.search = "/search:$LIB", .cache = "/cache"};
    check.name = "/own/program";
    inspect_program(check.name, &check.inspection);
    libraries_walk(&check.libraries, check.inspection.resolution.path, &places);
}

static bool look_at_process(void)
{
    static struct running running;
    int error;
    if (running_look(1, &running, &error) != NULL)
        return false;
    check.name = running.comm;
    check.running = &running;
    if (running.chosen == ANSWER_YES)
        check.handled = running.calls;
    running_inspect(&running, &check.inspection);
    running_libraries(&running, &check.libraries);
    return true;
}

static void print(void)
{
    static struct output output;
    char words[RECEPTION_WORDS_MAX];
    output_init(&output, PRINTED);
    check_text(&check, &output, false);
    output_flush(&output);
    printed_check(PRINTED_TEXT);
    check_json(&check, &output);
    printed_check(PRINTED_JSON);
    reception_advice(&check.libraries, CALLS_DEFAULT, words);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < HEAD)
        return 0;
    if (files[PROGRAM].fd == 0)
        setenv("PATH", "/own:/lib", 1);
    cut(bytes, size);
    check.running = NULL;
    check.handled = CALLS_DEFAULT;
    libraries_begin(&check.libraries);
    bool looked = true;
    if (files[MAPS].bytes != NULL)
        looked = look_at_process();
    else
        look_at_program();
    for (size_t i = 0; i < check.libraries.count; i++)
        check_item(&check.libraries.items[i]);
    if (looked) {
        print();
        inspect_free(&check.inspection);
    }
    libraries_free(&check.libraries);
    for (size_t i = 0; i < FILES; i++) {
        if (files[i].opened != 0)
            abort();
        files[i].bytes = NULL;
    }
    return 0;
}
