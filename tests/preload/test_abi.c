/* What the built library asks of the system that loads it, and what it offers. */
#include "harness.h"

#include "trace/calls.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(abi, .init = harness_begin, .fini = harness_end);

/* What a command says that finds the library as $1. */
static char *output_of(const char *command)
{
    struct finished job =
        RUN(.argv = {"/bin/sh", "-c", command, "sh", library_path()}, .env = {"LC_ALL=C"}, .native = true);
    cr_assert(exited_with(&job, 0), "%s", command);
    return job.out;
}

#define RECEIVE_SYMBOL(symbol, call) #symbol,

static int in_order(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* What only 32-bit programs call. */
static bool is_of_64bit_times(const char *symbol)
{
    return strncmp(symbol, "__", 2) == 0 && strstr(symbol, "64") != NULL;
}

Test(abi, exports_are_the_allow_list)
{
    const char *symbols[] = {CALL_SYMBOL_TABLE(RECEIVE_SYMBOL) /* and what is noted, and passed on: */
                             "_Exit",
                             "__asan_default_options",
                             "__sigaction",
                             "__sysv_signal",
                             "_exit",
                             "accept",
                             "accept4",
                             "bsd_signal",
                             "clone",
                             "close",
                             "close_range",
                             "closefrom",
                             "connect",
                             "dup",
                             "dup2",
                             "dup3",
                             "epoll_ctl",
                             "fclose",
                             "fcntl",
                             "fcntl64",
                             "freopen",
                             "freopen64",
                             "getsockopt",
                             "prctl",
                             "setsockopt",
                             "shutdown",
                             "sigaction",
                             "siginterrupt",
                             "signal",
                             "sigset",
                             "socket",
                             "socketpair",
                             "ssignal",
                             "syscall",
                             "sysv_signal",
                             "vfork",
                             "pthread_create",
                             "__fcntl_time64",
                             "__getsockopt64",
                             "__prctl_time64",
                             "__setsockopt64"};
    const size_t count = sizeof symbols / sizeof symbols[0];
    char expected[2048] = "";
    qsort(symbols, count, sizeof symbols[0], in_order);
    for (size_t i = 0; i < count; i++)
        if (!is_of_64bit_times(symbols[i]) || is_machine(EM_386))
            strcat(strcat(expected, symbols[i]), "\n");
    cr_expect_str_eq(output_of("nm -D --defined-only --format=just-symbols \"$1\" | LC_ALL=C sort"), expected);
}

/* A named version would keep the symbols from standing in for libc's. */
Test(abi, no_version_definitions)
{
    char *versions = output_of("readelf --wide --version-info \"$1\"");
    cr_expect(strstr(versions, "Version needs section") != NULL, "readelf has something to say");
    cr_expect(strstr(versions, "Version definition section") == NULL, "%s", versions);
}

/* The fortified and 64-bit forms that headers make of a call, whatever the compiler is told: in a library that exports
 * some of them they would be its own. __chk_fail is what the exported ones end in. */
Test(abi, headers_rename_nothing)
{
    cr_expect_str_eq(output_of("nm -D --undefined-only --format=just-symbols \"$1\" | sed 's/@.*//' |"
                               " grep -E '_chk$|_2$|64$|_time64' ; true"),
                     "");
}

/* Neither memory nor locks nor streams nor threads nor anybody's random numbers. */
Test(abi, calls_nothing_that_a_host_would_notice)
{
    static const char forbidden[] = "malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|asprintf|"
                                    ".*printf|f?puts|f?putc|fopen|fdopen|fwrite|fread|f?flush|std(in|out|err)|perror|"
                                    "pthread_create|thrd_create|pthread_(mutex|rwlock|spin|cond|once)_.*|pthread_once|"
                                    "sem_.*|f?lockf|s?random(_r)?|s?rand(_r)?|.rand48|arc4random.*|getenv|"
                                    "(set|put|unset|clear)env|environ|setlocale|exit|abort|__assert_fail|syslog";
    char command[1024];
    snprintf(command, sizeof command,
             "nm -D --undefined-only --format=just-symbols \"$1\" | sed 's/@.*//' | grep -E -x '%s' ; true", forbidden);
    cr_expect_str_eq(output_of(command), "");
}

Test(abi, runs_on_glibc_2_17)
{
    char *versions = output_of("readelf --wide --version-info \"$1\"");
    int seen = 0;
    for (const char *at = versions; (at = strstr(at, "Name: GLIBC_")) != NULL; seen++) {
        int major, minor;
        cr_assert_eq(sscanf(at, "Name: GLIBC_%d.%d", &major, &minor), 2, "%.30s", at);
        cr_expect(major == 2 && minor <= 17, "needs glibc %d.%d", major, minor);
        at++;
    }
    cr_expect_gt(seen, 0);
}

Test(abi, needs_libc_and_libdl_only)
{
    cr_expect_str_eq(output_of("readelf --wide --dynamic \"$1\""
                               " | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p' | LC_ALL=C sort"),
                     "libc.so.6\nlibdl.so.2\n");
}

Test(abi, bound_at_once_and_never_unloaded)
{
    char *dynamic = output_of("readelf --wide --dynamic \"$1\"");
    cr_expect(strstr(dynamic, "BIND_NOW") != NULL, "a handler may not bind lazily");
    cr_expect(strstr(dynamic, "NODELETE") != NULL, "exit handlers may still receive");
    cr_expect(strstr(dynamic, "TEXTREL") == NULL);
}

/* Under the general model the first use in a thread allocates: not in a signal handler. */
Test(abi, thread_local_storage_is_static)
{
    char *relocations = output_of("readelf --wide --relocs \"$1\"");
    cr_expect(strstr(relocations, is_machine(EM_AARCH64) ? "TPREL" : "TPOFF") != NULL, "%s", relocations);
    cr_expect(strstr(relocations, "DTPMOD") == NULL && strstr(relocations, "TLSDESC") == NULL, "%s", relocations);
}

/* More than libc's own and dlopen would refuse the library: shim/preload/thread.h. */
Test(abi, thread_local_storage_is_aligned_as_libc_s)
{
    char *segment = strstr(output_of("readelf --wide --segments \"$1\""), "TLS ");
    cr_assert_not_null(segment);
    segment[strcspn(segment, "\n")] = '\0';
    cr_expect_leq(strtoul(strrchr(segment, ' '), NULL, 16), is_machine(EM_X86_64) ? 64 : 16, "%s", segment);
}

/* A receive may return by a jump, which a shadow stack takes for an attack: shim/preload/returns.h. The linker marks
 * what is made of marked objects alone. */
Test(abi, claims_no_shadow_stack)
{
    cr_expect(strstr(output_of("readelf --wide --notes \"$1\""), "SHSTK") == NULL);
}
