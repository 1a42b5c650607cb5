#!/usr/bin/env python3
"""Which tests show that each pitfall of an interposer is avoided, and that each limit README.md tells of is one. All
that are named must be there; the rows and limits must be those of the documents. Tests that no other suite has are here.

Usage: pitfalls.py RECVSHIM LIBRARY SOURCE BUILD [unittest arguments]
"""
import json
import os
import re
import struct
import sys
import tempfile
import unittest

import finished

RECVSHIM = LIBRARY = SOURCE = BUILD = None

# The beginning of a row of PITFALLS.md -> the tests: suite::test of tests/preload, FILE.py::test of tests/real, or one
# of ctest's as ctest::NAME.
PITFALLS = {
    "fortified programs call": "calls::fortified calls::fortified_overflow_aborts",
    "a named version node": "abi::exports_are_the_allow_list abi::no_version_definitions",
    "`_FORTIFY_SOURCE`, time64 headers": "abi::exports_are_the_allow_list abi::headers_rename_nothing",
    "`dlsym@GLIBC_2.34`": "abi::runs_on_glibc_2_17",
    "a call before our constructor": "nesting::another_constructor_receives_after_ours "
                                     "nesting::another_constructor_receives_before_ours "
                                     "nesting::a_thread_that_receives_since_before_ours "
                                     "pitfalls.py::test_constructor_disabled",
    "dlsym allocates": "nesting::an_allocator_that_receives abi::calls_nothing_that_a_host_would_notice",
    "recv in a signal handler": "threads::receives_in_a_handler threads::receives_in_a_handler_that_lap_the_ring "
                                "abi::bound_at_once_and_never_unloaded abi::thread_local_storage_is_static",
    "siglongjmp or cancellation": "threads::siglongjmp_out_of_a_receive threads::siglongjmp_out_of_a_retry "
                                  "threads::siglongjmp_out_of_a_gathering_retry threads::cancelled_in_a_receive",
    "cancellation lost": "threads::cancelled_in_a_receive threads::cancelled_in_a_retry "
                         "threads::cancellation_takes_no_data_along "
                         "threads::a_storm_of_cancellations_takes_no_data_along "
                         "fault_waits::cancellation_is_prompt_and_loses_nothing",
    "errno changed": "calls::errno_survives_success receive_calls::a_stream_to_its_end",
    "EOF guessed from 0": "disconnect::eof_once disconnect::empty_datagrams disconnect::zero_length_request "
                          "disconnect::seqpacket disconnect::eof_first_seen_by_peeking disconnect::reset_then_zero "
                          "disconnect::refused_datagram disconnect::misuse life::refused cause::each_end "
                          "cause::each_queue",
    "addrlen": "address::canaries address::canaries_where_a_scope_is_mended address::canaries_of_messages",
    "stale peer": "disconnect::reused_descriptor churn::every_event_belongs_to_its_connection "
                  "attribution::descriptors_that_are_passed attribution::copies_of_a_descriptor "
                  "attribution::all_descriptors_closed",
    "the tool's own descriptor": "world::closefrom world::close_loop world::dup2_storm world::daemon",
    "fork, raw clone": "world::fork world::fork_without_handlers world::raw_clone transparency.py::test_children_fork "
                       "transparency.py::test_children_clone",
    "vfork, posix_spawn": "world::vfork world::vfork_in_a_new_process world::posix_spawn "
                          "attribution::children_of_vfork_that_close_everything",
    "chroot, setuid": "world::chroot world::setuid world::a_server_that_drops_privileges "
                      "world::a_server_that_enters_namespaces world::a_child_in_a_pid_namespace",
    "seccomp kills": "nesting::seccomp_filter nesting::seccomp_filter_in_a_child "
                     "nesting::seccomp_filter_ends_the_look_ups world::raw_clone_without_look_ups "
                     "nesting::seccomp_filter_and_a_new_thread receive_calls::no_other_system_call_under_a_filter "
                     "transparency.py::test_calls transparency_programs.py::test_curl",
    "full or truncated trace": "trouble::a_full_file_system trouble::truncated_in_use "
                               "trouble::truncated_while_threads_write",
    "gcc's ASan": "real_sanitizers.py::test_nothing_is_reported real_sanitizers.py::test_defects_are_reported",
    "RTLD_DEEPBIND": "gaps::deepbind gaps::another_namespace gaps::raw_system_calls gaps::stdio_of_libc "
                     "gaps::the_resolver_of_libc real_check.py::test_io_uring",
    "environ cleared": "world::environment real_untraced.py::test_cleared_environment",
    "setuid and file-capability": "world::setuid_program_reads_no_settings real_check.py::test_setuid "
                                  "real_check.py::test_capabilities trouble::a_symbolic_link "
                                  "settings_live::the_trace_is_the_users_alone",
    "static, Go, musl": "real_check.py::test_static real_check.py::test_go real_check.py::test_musl gaps::static_pie "
                        "real_untraced.py::test_too_short_to_be_seen real_untraced.py::test_nothing_seen",
    "32- and 64-bit programs": "mixed::every_record_is_there mixed::run_traces_both",
    "a helper thread or stdio": "nesting::leaves_no_trace_in_the_process "
                                "abi::calls_nothing_that_a_host_would_notice",
    "exit order": "nesting::receives_at_the_end",
    "small stacks": "nesting::smallest_stack",
    "injection that disturbs": "fault_seed::the_programs_own_random_numbers_stay_as_they_are "
                               "fault::a_stream_in_pieces_of_all_sizes_is_intact "
                               "receive_calls::short_receives_lose_nothing",
    "children of a preload-aware": "ctest::recipes real_check_processes.py::test_started_without "
                                   "real_chaining.py::test_wrappers_that_replace_the_list",
}
# What is said of a limit in README.md -> the tests that would notice it gone.
LIMITS = {
    "`splice`, `preadv2`, `aio_read`": "gaps::other_calls receive_calls::unhandled_ones_are_as_ever",
    "statically linked ones, those written in Go": "real_check.py::test_static real_check.py::test_go",
    "raw system calls, io_uring": "gaps::raw_system_calls real_check.py::test_io_uring",
    "behind a `FILE`": "gaps::stdio_of_libc",
    "for name resolution": "gaps::the_resolver_of_libc",
    "Programs of another libc (musl)": "real_check.py::test_musl real_check.py::test_wrong_class",
    "Programs that gain privileges": "real_check.py::test_setuid real_check.py::test_capabilities",
    "A child started with a cleared environment": "real_untraced.py::test_cleared_environment",
    "libraries loaded with `RTLD_DEEPBIND`": "gaps::deepbind gaps::another_namespace",
    "A descriptor closed by `daemon`": "gaps::numbers_that_libc_or_the_kernel_gave_free "
                                        "receive_calls::sockets_that_libc_replaced",
    "Threads that have descriptors of their own": "gaps::descriptors_that_a_thread_has_alone",
    "above 65,535": "gaps::descriptors_above_65535",
    "that came by exec or SCM_RIGHTS has another": "attribution::sockets_inherited_by_exec "
                                                   "attribution::descriptors_that_are_passed",
    "A filter of seccomp that is installed by a raw": "gaps::a_filter_that_is_installed_past_libc",
    "by `quick_exit`, or by going on": "pitfalls.py::test_quick_exit life::killed",
    "are at an invalid address": "gaps::addresses_where_nothing_is edges::lengths_at_impossible_addresses "
                                 "receive_calls::what_the_kernel_refuses",
    "Children of a raw `clone`": "world::raw_clone_without_look_ups "
                                 "world::a_child_beside_its_parent_in_memory",
    "Where another thread changes the pieces": "gaps::pieces_that_another_thread_changes",
    "Threads that were not started by": "gaps::threads_that_pthread_create_has_not_started",
}


class Tables(unittest.TestCase):
    def names(self):
        """All tests there are, as the tables name them."""
        names, preload = set(), os.path.join(BUILD, "tests/preload")
        suites = {name for tests in [*PITFALLS.values(), *LIMITS.values()] for name in re.findall(r"(\w+)::", tests)}
        for suite in suites:
            if os.path.exists(f"{preload}/test-{suite}"):
                listed = finished.run([f"{preload}/test-{suite}", "--list"])
                names.update(f"{suite}::{test}" for test in re.findall(r"── (\w+)", listed.stdout))
        real = os.path.join(SOURCE, "tests/real")
        for file in filter(re.compile(r"\w+\.py$").match, os.listdir(real)):
            with open(f"{real}/{file}", encoding="utf-8") as text:
                names.update(f"{file}::{test}" for test in re.findall(r"def (test_\w+)", text.read()))
        with open(f"{real}/transparency.py", encoding="utf-8") as text:  # one a row of its table
            names.update("transparency.py::test_" + row.replace(" ", "_").replace("-", "_")
                         for row in re.findall(r"(?m)^\w[\w -]*$", text.read()))
        with open(f"{real}/CMakeLists.txt", encoding="utf-8") as text:
            names.update(f"ctest::{test}" for test in re.findall(r"add_test\(NAME (\S+)", text.read()))
        return names

    def test_each_named_test_is_there(self):
        named = {name for tests in [*PITFALLS.values(), *LIMITS.values()] for name in tests.split()}
        self.assertEqual(named - self.names(), set())

    def test_each_pitfall_has_a_row(self):
        path = os.path.join(SOURCE, "../shared/PITFALLS.md")
        if not os.path.exists(path):
            self.skipTest("PITFALLS.md is not beside this checkout")
        with open(path, encoding="utf-8") as text:
            rows = [line[2:] for line in text if line.startswith("| ")][1:]
        self.assertEqual([row for row in rows if not row.startswith(tuple(PITFALLS))], [])
        self.assertEqual([name for name in PITFALLS if not any(row.startswith(name) for row in rows)], [])

    def test_each_limit_is_told(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as text:
            readme = " ".join(text.read().split())
        limits = readme[readme.index("What is never seen:"):readme.index("## 32-bit, arm64")]
        self.assertEqual([limit for limit in LIMITS if limit not in limits], [])
        self.assertEqual([item for item in limits.split(": - ", 1)[1].split(". - ")
                          if not any(limit in item for limit in LIMITS)], [])


class Shown(unittest.TestCase):
    """What no other suite has."""

    def run_python(self, code):
        """The events of a program that says nothing unless it fails."""
        with tempfile.TemporaryDirectory() as directory:
            trace = f"{directory}/trace"
            done = finished.run([RECVSHIM, "run", "--calls", "all", "--trace", trace, "-o", f"{directory}/events", "--",
                                 "/usr/bin/python3", "-c", code])
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            shown = finished.run([RECVSHIM, "show", "--format", "json", trace])
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def test_quick_exit(self):
        events = self.run_python("import ctypes\nctypes.CDLL(None).quick_exit(0)")
        self.assertEqual([event["event"] for event in events], ["start"])

    def test_constructor_disabled(self):
        """Its calls are passed on all the same: what they need is looked up when it is needed."""
        with tempfile.TemporaryDirectory() as directory:
            copy = f"{directory}/librecvshim.so"
            with open(LIBRARY, "rb") as file:
                image = bytearray(file.read())
            self.disable_constructors(image)
            with open(copy, "wb") as file:
                file.write(image)
            trace = f"{directory}/trace"
            for victim, status in (("calls", 3), ("addrlen", 0), ("small_stack", 0)):
                program = f"{BUILD}/tests/programs/{victim}"
                native, done = finished.run([program]), finished.run([program], LD_PRELOAD=copy, RECVSHIM_TRACE=trace)
                self.assertEqual((native.returncode, done.returncode), (status, status))
                same = (re.sub(r"(?m)^((?:pid|tid|port) )\d+$", r"\1N", each.stdout) for each in (done, native))
                self.assertEqual(*same)
            self.assertFalse(os.path.exists(trace))

    def disable_constructors(self, image):
        """DT_INIT_ARRAYSZ of a 64-bit library becomes 0."""
        dynamic, init_array_size = 2, 27
        table, = struct.unpack_from("<Q", image, 32)
        size, count = struct.unpack_from("<HH", image, 54)
        for header in range(table, table + size * count, size):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", image, header)
            for entry in range(offset, offset + length, 16) if kind == dynamic else ():
                if struct.unpack_from("<Q", image, entry)[0] == init_array_size:
                    struct.pack_into("<Q", image, entry + 8, 0)
                    return
        self.fail("the library has no constructors")


if __name__ == "__main__":
    RECVSHIM, LIBRARY, SOURCE, BUILD = map(os.path.abspath, sys.argv[1:5])
    unittest.main(argv=sys.argv[:1] + sys.argv[5:])
