#!/usr/bin/env python3
"""Programs built with GCC's and clang's sanitizers under recvshim: each reports its defect, and nothing else, as it does
alone; ends as it does alone; and its receives are traced.

Usage: real_sanitizers.py RECVSHIM LIBRARY PROGRAMS [unittest arguments]

PROGRAMS is the folder tests/programs. What was seen is printed as a table at the end.
"""
import concurrent.futures
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from finished import LIMIT, run

RECVSHIM = LIBRARY = PROGRAMS = None


def said(command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout.strip()


def clang_shared():
    """Debian's clang does not tell the loader where its shared runtime is."""
    return ["-shared-libasan", "-Wl,-rpath," + os.path.dirname(said(["clang", "-print-file-name=libclang_rt.asan-x86_64.so"]))]


# Sanitizer: compiler, options, the defects that it reports with what it says of each.
OVERFLOW = {"overflow": "AddressSanitizer: heap-buffer-overflow .*WRITE of size 16.*in (__interceptor_)?recv[ .]",
            "leak": "LeakSanitizer: detected memory leaks.* 100 byte"}
RACE = {"race": "ThreadSanitizer: data race .*in count_received"}
UNDEFINED = {"undefined": "runtime error: signed integer overflow"}
LEAK = {"leak": "LeakSanitizer: detected memory leaks.* 100 byte"}
SANITIZERS = {
    "gcc address": ("gcc", ["-fsanitize=address"], OVERFLOW),
    "gcc address, static": ("gcc", ["-fsanitize=address", "-static-libasan"], OVERFLOW),
    "gcc thread": ("gcc", ["-fsanitize=thread"], RACE),
    "gcc thread, static": ("gcc", ["-fsanitize=thread", "-static-libtsan"], RACE),
    "gcc undefined": ("gcc", ["-fsanitize=undefined"], UNDEFINED),
    "gcc leak": ("gcc", ["-fsanitize=leak"], LEAK),
    "clang address": ("clang", ["-fsanitize=address"], OVERFLOW),
    "clang address, shared": ("clang", ["-fsanitize=address", "shared"], OVERFLOW),
    "clang thread": ("clang", ["-fsanitize=thread"], RACE),
    "clang undefined": ("clang", ["-fsanitize=undefined"], UNDEFINED),
    "clang undefined, shared": ("clang", ["-fsanitize=undefined", "shared"], UNDEFINED),
    "clang leak": ("clang", ["-fsanitize=leak"], LEAK),
    "clang memory": ("clang", ["-fsanitize=memory"], {}),
}
REPORT = re.compile(r"ERROR: |WARNING: |runtime error|does not come first", re.ASCII)


def compile_with(sanitizer, source, target):
    compiler, options, _ = SANITIZERS[sanitizer]
    options = [given for option in options for given in (clang_shared() if option == "shared" else [option])]
    made = subprocess.run([compiler, "-D_GNU_SOURCE", "-O1", "-g", "-w", *options, source, "-o", target, "-pthread"],
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"{sanitizer}: {made.stderr}")


class Sanitized(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.build("defects", SANITIZERS)

    @classmethod
    def build(cls, program, sanitizers):
        source = os.path.join(PROGRAMS, program + ".c")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda name: compile_with(name, source, cls.program(program, name)), sanitizers))

    @classmethod
    def program(cls, program, sanitizer):
        return os.path.join(cls.directory, f"{program}, {sanitizer}")

    def run_traced(self, command, *options, **environment):
        """As run, and the receives of its trace."""
        trace = os.path.join(self.directory, "trace")
        ran = run([RECVSHIM, "run", "--trace", trace, "-o", "/dev/null", *options, "--", *command],
                               **environment)
        shown = said([RECVSHIM, "show", "--format", "json", "--event", "receive", trace])
        os.unlink(trace)
        return ran, [json.loads(line) for line in shown.splitlines()]


class Defects(Sanitized):
    rows = []

    @classmethod
    def tearDownClass(cls):
        print("\n".join(f"{name:24}  {way:14}  {told:42}  {receives}" for name, way, told, receives in cls.rows))

    def check(self, sanitizer, way, report):
        command = [self.program("defects", sanitizer), way]
        alone = run(command)
        ran, receives = self.run_traced(command, "--quiet")
        said_received = [line for line in ran.stdout.splitlines() if line.startswith("received ")]
        self.assertEqual(said_received, ["received 20"], ran.stderr)
        self.assertEqual((ran.returncode, ran.stdout), (alone.returncode, alone.stdout), ran.stderr)
        self.assertEqual(len(REPORT.findall(ran.stderr)), len(REPORT.findall(alone.stderr)), ran.stderr)
        if report is None:
            self.assertEqual(ran.stderr, "")
        else:
            self.assertRegex(alone.stderr, "(?s)" + report)
            self.assertRegex(ran.stderr, "(?s)" + report)
        # By a definition in the program, ours is called in between; one in a library is called by ours, and never
        # returns there.
        ends = way == "overflow" and sanitizer in ("gcc address", "clang address, shared")
        self.assertEqual([event["size"] for event in receives if event["requested"] == 16],
                         [] if ends or way != "overflow" else [16])
        self.assertEqual(len([event for event in receives if event["requested"] != 16]), 20)
        told = REPORT.split(ran.stderr)[1].split("\n")[0] if report else "nothing"
        self.rows.append((sanitizer, way, told.strip()[:42], len(receives)))

    def test_defects_are_reported(self):
        for sanitizer, (_, _, defects) in SANITIZERS.items():
            for way, report in defects.items():
                with self.subTest(sanitizer=sanitizer, way=way):
                    self.check(sanitizer, way, report)

    def test_nothing_is_reported_where_nothing_is(self):
        for sanitizer in SANITIZERS:
            for way in ("none", "handler", "handler-timed") if "thread" in sanitizer else ("none",):
                with self.subTest(sanitizer=sanitizer, way=way):
                    self.check(sanitizer, way, None)


class Victims(Sanitized):
    """Programs that do what sanitizers stand in for, too: threads, forks, cancellations, jumps and handlers."""

    ROWS = (("threads",), ("cancel", "times=100"), ("children", "fork"), ("children", "vfork"),
            ("in_handler", "handled=500"), ("jump",))
    KINDS = ("gcc address", "gcc thread", "clang thread")

    def test_nothing_is_reported(self):
        for program in sorted({row[0] for row in self.ROWS}):
            self.build(program, self.KINDS)
        for (program, *arguments), kind in itertools.product(self.ROWS, self.KINDS):
            if program == "cancel" and "thread" in kind:
                continue  # has a race of its own
            with self.subTest(program=program, arguments=arguments, kind=kind):
                ran, receives = self.run_traced([self.program(program, kind), *arguments], "--eintr", "intent")
                self.assertEqual((ran.returncode, ran.stderr), (0, ""))
                self.assertGreater(len(receives), 0)


class Order(Sanitized):
    """Where GCC's AddressSanitizer, and clang's shared one, would not start."""

    SHARED = ("gcc address", "clang address, shared")
    REFUSED = "ASan runtime does not come first in initial library list"

    def preloaded(self, *libraries):
        return {"LD_PRELOAD": ":".join(libraries), "RECVSHIM_TRACE": os.path.join(self.directory, "preloaded")}

    def test_the_library_alone(self):
        for sanitizer in self.SHARED:
            ran = run([self.program("defects", sanitizer), "none"], **self.preloaded(LIBRARY))
            self.assertEqual((ran.returncode, ran.stderr), (0, ""), sanitizer)

    def test_others_are_refused_as_without_the_library(self):
        """Another library in front of it may well have a malloc of its own."""
        other = os.path.join(self.directory, "other.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", other], check=True, timeout=LIMIT)
        for sanitizer in self.SHARED:
            for libraries in ((other,), (other, LIBRARY), (LIBRARY, other)):
                ran = run([self.program("defects", sanitizer), "none"], **self.preloaded(*libraries))
                self.assertRegex(ran.stderr, self.REFUSED, (sanitizer, libraries))
                self.assertNotEqual(ran.returncode, 0)

    def test_a_user_may_insist(self):
        command = [self.program("defects", "gcc address"), "none"]
        for options, refused in (("verify_asan_link_order=1", True), ("verify_asan_link_order=0", False), ("", False)):
            ran, receives = self.run_traced(command, ASAN_OPTIONS=options)
            self.assertEqual(self.REFUSED in ran.stderr, refused, options)
            self.assertEqual(len(receives), 0 if refused else 20)

    def test_sanitizer_that_is_preloaded(self):
        """The recipe for what is built with it and loaded by a program that is not: an extension of python's."""
        script = "import socket; a, b = socket.socketpair(); b.send(b'x' * 10); print(a.recv(100))"
        runtime = said(["gcc", "-print-file-name=libasan.so"])
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        for libraries in ((runtime, LIBRARY), (LIBRARY, runtime)):
            ran = run(["/usr/bin/python3", "-c", script], **environment, **self.preloaded(*libraries))
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, f"{b'x' * 10}\n", ""), libraries)
            self.assertIn("recv(", said([RECVSHIM, "show", "--event", "receive", self.preloaded()["RECVSHIM_TRACE"]]))
        ran, receives = self.run_traced(["/usr/bin/python3", "-c", script], LD_PRELOAD=runtime, **environment)
        self.assertEqual((ran.returncode, ran.stderr, [event["size"] for event in receives]), (0, "", [10]))

    def test_options_of_others(self):
        """The program's own stand for themselves, those of a library that is preloaded do as without ours."""
        source, library = os.path.join(self.directory, "options.c"), os.path.join(self.directory, "options.so")
        with open(source, "w", encoding="ascii") as file:
            file.write('const char *__asan_default_options(void) { return OPTIONS "exitcode=77"; }')
        subprocess.run(["gcc", "-shared", "-fPIC", '-DOPTIONS="verify_asan_link_order=0:"', source, "-o", library],
                       check=True, timeout=LIMIT)
        for libraries in ((library,), (library, LIBRARY), (LIBRARY, library)):
            ran = run([self.program("defects", "gcc address"), "overflow"], **self.preloaded(*libraries))
            self.assertEqual((ran.returncode, REPORT.findall(ran.stderr)), (77, ["ERROR: "]), (libraries, ran.stderr))

        program = os.path.join(self.directory, "own options")
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-w", "-fsanitize=address", '-DOPTIONS=""', source,
                        os.path.join(PROGRAMS, "defects.c"), "-o", program], check=True, timeout=LIMIT)
        for options, refused in (("", True), ("verify_asan_link_order=0", False)):
            ran, _ = self.run_traced([program, "overflow"], ASAN_OPTIONS=options)
            self.assertEqual((ran.returncode, self.REFUSED in ran.stderr), (77, refused), ran.stderr)

    def test_a_tree(self):
        """Children of every kind, as well as those that would not bear a sanitizer: perl for its leaks, a limit."""
        kinds = [name for name in SANITIZERS if name != "gcc undefined"]
        script = "\n".join(f"'{self.program('defects', name)}' none || exit 1" for name in kinds)
        script += "\nASAN_OPTIONS=detect_leaks=0 \"$0\" none || exit 2; perl -e 1 || exit 3; ulimit -v 4000000; /bin/echo end"
        ran, receives = self.run_traced(["sh", "-c", script, self.program("defects", "gcc address")], "--quiet")
        self.assertEqual((ran.returncode, ran.stderr, ran.stdout), (0, "", "received 20\n" * (len(kinds) + 1) + "end\n"))
        self.assertEqual(len(receives), 20 * (len(kinds) + 1))


if __name__ == "__main__":
    RECVSHIM, LIBRARY = map(os.path.abspath, (sys.argv.pop(1), sys.argv.pop(1)))
    PROGRAMS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
