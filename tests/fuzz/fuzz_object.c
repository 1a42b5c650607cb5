/* ELF files of any bytes, as the program that is asked about, as a library that it names, and as ld.so.cache. What must
 * hold of each is that it is answered: within the time limit, without a crash, and with names that end. */
#include "cli/libraries.h"
#include "cli/reception.h"
#include "trace/calls.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Written anew for each input: a memfd made each time would cost more than all else. */
static int file = -1;
static char path[64];
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (file < 0) {
        file = memfd_create("object", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    const struct library_places places = {.search = "/proc/self/fd", .cache = path};
    struct libraries libraries;
    libraries_begin(&libraries);
    libraries_walk(&libraries, path, &places);
    for (size_t i = 0; i < libraries.count; i++)
        check_item(&libraries.items[i]);
    char words[RECEPTION_WORDS_MAX];
    const struct library *by;
    reception_judge(&libraries, CALLS_DEFAULT, &by);
    reception_advice(&libraries, CALLS_DEFAULT, words);
    libraries_free(&libraries);
    return 0;
}
