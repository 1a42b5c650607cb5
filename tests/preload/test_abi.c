/* What the built library asks of the system that loads it, and what it offers. */
#include "harness.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

TestSuite(abi, .init = harness_begin, .fini = harness_end);

/* What a command says that finds the library as $1. */
static char *output_of(const char *command)
{
    struct finished job = RUN(.argv = {"/bin/sh", "-c", command, "sh", library_path()}, .native = true);
    cr_assert(exited_with(&job, 0), "%s", command);
    return job.out;
}

/* What programs built with 64-bit times call instead. */
#define TIME64          "__fcntl_time64\n__getsockopt64\n__prctl_time64\n"
#define TIME64_MESSAGES "__recvmmsg64\n__recvmsg64\n__setsockopt64\n"

Test(abi, exports_are_the_allow_list)
{
    bool time64 = is_machine(EM_386);
    char expected[2048];
    snprintf(expected, sizeof expected,
             "_Exit\n%s__recv_chk\n__recvfrom_chk\n%s__sigaction\n__sysv_signal\n_exit\naccept\naccept4\nbsd_signal\n"
             "clone\nclose\nclose_range\nclosefrom\nconnect\ndup\ndup2\ndup3\nepoll_ctl\nfcntl\nfcntl64\ngetsockopt\n"
             "prctl\npthread_create\nrecv\nrecvfrom\nrecvmmsg\nrecvmsg\nsetsockopt\nshutdown\nsigaction\n"
             "siginterrupt\nsignal\nsigset\nsocket\nsocketpair\nssignal\nsyscall\nsysv_signal\nvfork\n",
             time64 ? TIME64 : "", time64 ? TIME64_MESSAGES : "");
    cr_expect_str_eq(output_of("nm -D --defined-only --format=just-symbols \"$1\" | LC_ALL=C sort"), expected);
}

/* A named version would keep the symbols from standing in for libc's. */
Test(abi, no_version_definitions)
{
    char *versions = output_of("readelf --wide --version-info \"$1\"");
    cr_expect(strstr(versions, "Version needs section") != NULL, "readelf has something to say");
    cr_expect(strstr(versions, "Version definition section") == NULL, "%s", versions);
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
