/* What the built library asks of the system that loads it, and what it offers. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(abi, .init = harness_begin, .fini = harness_end);

static char *output_of(const char *command)
{
    struct finished job = RUN(.argv = {"/bin/sh", "-c", command}, .native = true);
    cr_assert(exited_with(&job, 0), "%s", command);
    return job.out;
}

Test(abi, exports_are_the_allow_list)
{
    cr_expect_str_eq(
        output_of("nm -D --defined-only --format=just-symbols " RECVSHIM_LIBRARY " | LC_ALL=C sort"),
        "_Exit\n__asan_default_options\n__recv_chk\n__recvfrom_chk\n__sigaction\n__sysv_signal\n_"
        "exit\naccept\naccept4\nbsd_"
        "signal\nclone\nclose\nclose_"
        "range\nclosefrom\nconnect\ndup\n"
        "dup2\ndup3\nepoll_ctl\nfcntl\nfcntl64\ngetsockopt\nprctl\npthread_create\nrecv\nrecvfrom\nrecvmmsg\nrecvmsg\n"
        "setsockopt\nshutdown\nsigaction\nsiginterrupt\nsignal\nsigset\nsocket\nsocketpair\nssignal\nsysca"
        "ll\nsysv_signal\nvfork\n");
}

/* A named version would keep the symbols from standing in for libc's. */
Test(abi, no_version_definitions)
{
    char *versions = output_of("readelf --wide --version-info " RECVSHIM_LIBRARY);
    cr_expect(strstr(versions, "Version needs section") != NULL, "readelf has something to say");
    cr_expect(strstr(versions, "Version definition section") == NULL, "%s", versions);
}

Test(abi, runs_on_glibc_2_17)
{
    char *versions = output_of("readelf --wide --version-info " RECVSHIM_LIBRARY);
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
    cr_expect_str_eq(output_of("readelf --wide --dynamic " RECVSHIM_LIBRARY
                               " | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p' | LC_ALL=C sort"),
                     "libc.so.6\nlibdl.so.2\n");
}

Test(abi, bound_at_once_and_never_unloaded)
{
    char *dynamic = output_of("readelf --wide --dynamic " RECVSHIM_LIBRARY);
    cr_expect(strstr(dynamic, "BIND_NOW") != NULL, "a handler may not bind lazily");
    cr_expect(strstr(dynamic, "NODELETE") != NULL, "exit handlers may still receive");
    cr_expect(strstr(dynamic, "TEXTREL") == NULL);
}

/* Under the general model the first use in a thread allocates: not in a signal handler. */
Test(abi, thread_local_storage_is_static)
{
    char *relocations = output_of("readelf --wide --relocs " RECVSHIM_LIBRARY);
    cr_expect(strstr(relocations, "TPOFF") != NULL, "%s", relocations);
    cr_expect(strstr(relocations, "DTPMOD") == NULL && strstr(relocations, "TLSDESC") == NULL, "%s", relocations);
}
