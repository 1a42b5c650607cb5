/* Preloaded into recvshim, makes one of its own allocations fail: the N-th by the K-th of its places that allocate, in
 * the order in which they are come to. What libraries allocate for themselves, and what is allocated at exit (gcov), is
 * left alone.
 *
 *   RECVSHIM_TEST_PLACE=K RECVSHIM_TEST_TURN=N
 *   RECVSHIM_TEST_FAILED=FILE   is made once it has failed: where it is not there, there was nothing left to fail */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PLACES 1024

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static void *program; /* where it was loaded; NULL: not the one that is meant, or at its end */
static const void *places[PLACES];
static pid_t process; /* not its children */
static int place_count, turns, place_wanted, turn_wanted;
static const char *mark;

static void *loaded_at(const void *address)
{
    Dl_info info;
    return dladdr(address, &info) != 0 ? info.dli_fbase : NULL;
}

static void end(void)
{
    program = NULL;
}

static bool fails(const void *caller)
{
    if (program == NULL || getpid() != process || loaded_at(caller) != program)
        return false;
    /* Not before: what libc calls last is what was first, and gcov writes when libc leaves the program. */
    if (place_count == 0)
        atexit(end);
    int place = 0;
    while (place < place_count && places[place] != caller)
        place++;
    if (place == place_count && place_count < PLACES)
        places[place_count++] = caller;
    if (place + 1 != place_wanted || ++turns != turn_wanted)
        return false;
    close(open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    errno = ENOMEM;
    return true;
}
#define FAILS() fails(__builtin_return_address(0))

static int number_of(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? atoi(value) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    place_wanted = number_of("RECVSHIM_TEST_PLACE");
    turn_wanted = number_of("RECVSHIM_TEST_TURN");
    mark = getenv("RECVSHIM_TEST_FAILED");
    process = getpid();
    if (mark != NULL && strcmp(program_invocation_short_name, "recvshim") == 0)
        program = loaded_at((void *)getauxval(AT_ENTRY));
}

void *malloc(size_t size)
{
    return FAILS() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return FAILS() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return FAILS() ? NULL : __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
    return FAILS() ? NULL : __libc_realloc(memory, count * size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return FAILS() ? NULL : __libc_memalign(alignment, size);
}

static char *copy(const char *text, size_t length)
{
    char *copied = __libc_malloc(length + 1);
    if (copied != NULL) {
        memcpy(copied, text, length);
        copied[length] = '\0';
    }
    return copied;
}

char *strdup(const char *text)
{
    return FAILS() ? NULL : copy(text, strlen(text));
}

char *strndup(const char *text, size_t most)
{
    return FAILS() ? NULL : copy(text, strnlen(text, most));
}

int asprintf(char **text, const char *format, ...)
{
    if (FAILS())
        return -1;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}
