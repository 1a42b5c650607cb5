#!/usr/bin/env python3
"""What a user is told where something fails: memory, system calls, files, and the right to look. Each failure is brought
about: allocations by failing.c, system calls by strace, other users by setpriv.

Usage: real_failures.py RECVSHIM LIBRARY FAILING [unittest arguments]
"""
import contextlib
import os
import shutil
import subprocess
import sys
import unittest

from finished import LIMIT, run
from specimens import NOBODY, Running, Specimens, children, main

FAILING = None
TURNS = 8
BUSY = """
import socket
for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    with socket.create_server((address, 0), family=family) as listener:
        for i in range(150):
            with socket.create_connection(listener.getsockname()[:2]) as one, listener.accept()[0] as other:
                one.sendall(b"x" * (i + 1))
                other.recv(4096)
                one.shutdown(socket.SHUT_WR)
                other.recv(4096)
"""


class Failures(Specimens):
    """With a trace of three hundred connections."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.failing = shutil.copy(FAILING, cls.directory)
        cls.busy = cls.write("busy.py", BUSY)
        cls.trace = cls.path("trace")
        cls.run_busy(cls.trace)

    @classmethod
    def run_busy(cls, trace, *options):
        done = run([cls.recvshim, "run", "-q", "--calls=all", "--fault=*:delay=1us", "--seed=1", *options, "--trace", trace,
                    sys.executable, cls.busy], **cls.environment)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def expect(self, done, status, *phrases):
        """The status, and lines on stderr, each ours, that have these in them."""
        lines = done.stderr.splitlines()
        self.assertEqual((done.returncode, len(lines)), (status, len(phrases)), done)
        for line, phrase in zip(lines, phrases):
            self.assertTrue(line.startswith("recvshim: "), done)
            self.assertIn(phrase, line)


class Memory(Failures):
    """Each place that allocates, at its first turn and at later ones, for something else or when what it made grows."""

    def fail_one(self, place, turn, statuses, usual):
        """Whether there was anything to fail. If so it ends with one of these statuses, and with words; or did without."""
        mark = self.path("failed")
        done = self.command(*usual.args[1:], LD_PRELOAD=self.failing, RECVSHIM_TEST_PLACE=str(place), RECVSHIM_TEST_TURN=str(turn),
                            RECVSHIM_TEST_FAILED=mark)
        if not os.path.exists(mark):
            return False
        os.unlink(mark)
        if (done.returncode, done.stdout) != (0, usual.stdout):
            self.assertIn(done.returncode, statuses, done)
            self.assertNotEqual(done.stderr + done.stdout, "", done)
        return True

    def fail_each(self, *arguments, statuses=(1,)):
        usual = self.command(*arguments)
        places = 0
        while self.fail_one(places + 1, 1, statuses, usual):
            places += 1
        self.assertGreater(places, 0)
        for place in range(1, places + 1):
            turn = 2
            while turn < TURNS and self.fail_one(place, turn, statuses, usual):
                turn += 1

    def test_show(self):
        for form in "text", "json", "csv", "chrome", "faults":
            self.fail_each("show", "--format", form, self.trace)

    def test_stats(self):
        for form in "text", "json", "prometheus":
            self.fail_each("stats", "--format", form, self.trace)
        lossy = self.path("lossy")
        self.run_busy(lossy, "--size=64K", "--full=stop")
        self.fail_each("stats", lossy)

    def test_control(self):
        self.fail_each("control", self.trace, "--fault=*:eof", "--fault=*:short=1", statuses=(1, 2))
        self.fail_each("control", self.trace)

    def test_check(self):
        self.fail_each("check", self.plain)
        self.fail_each("check", "/usr/bin/python3")
        self.fail_each("check", "-p", str(os.getpid()))

    def test_run(self):
        """The program runs in any case, once it has been started."""
        self.fail_each("run", "-o", "/dev/null", "--", self.plain, statuses=(125,))

    def test_help(self):
        """It is printed without what could not be put together."""
        self.fail_each("show", "--help", statuses=(0,))


class Kernel(Failures):
    """System calls that fail, as strace has it."""

    def failing_call(self, path, injected, *arguments):
        """Of those on the file at `path`; None: of all."""
        only = ["-P", path] if path is not None else []
        call = injected.split(":")[0]
        return self.command(*arguments, before=["strace", "--quiet=all", "-o", "/dev/null", "-e", f"trace={call}", *only, "-e",
                                                f"inject={injected}"])

    def test_trace(self):
        for injected, phrase in (("fstat:error=EIO", "cannot be examined: Input/output error"),
                                 ("pread64:error=EIO", "cannot be read: Input/output error"),
                                 ("mmap:error=ENOMEM", "cannot be mapped: Cannot allocate memory")):
            for command in "show", "stats", "control":
                self.expect(self.failing_call(self.trace, injected, command, self.trace), 1, f"{self.trace}: {phrase}")

    def test_output(self):
        out = self.write("out", "")
        for injected, phrase in (("newfstatat:error=EIO", "cannot be examined: Input/output error"),
                                 ("ftruncate:error=EIO", "cannot be emptied: Input/output error"),
                                 ("write:error=EIO", "cannot be written: Input/output error")):
            for command in "show", "stats", "control", "check":
                what = self.plain if command == "check" else self.trace
                self.expect(self.failing_call(out, injected, command, what, "-o", out), 1, f"{out}: {phrase}")

    def test_output_is_too_large(self):
        """Of a limit on file sizes there is a signal as well, which would end the command without a word."""
        out = self.write("out", "")
        self.expect(self.failing_call(out, "write:error=EFBIG:signal=XFSZ", "show", self.trace, "-o", out), 1,
                    f"{out}: cannot be written: File too large")

    def test_output_is_not_ready(self):
        """The descriptor is shared, and somebody made it non-blocking."""
        out = self.write("out", "")
        self.assertEqual(self.failing_call(out, "write:error=EAGAIN:when=1", "check", self.plain, "-o", out).returncode, 0)
        with open(out, encoding="ascii") as file:
            self.assertIn("can be traced", file.read())

    def test_replaced_output(self):
        """What was there stays."""
        out = self.write("out", "before")
        for injected, phrase in (("rename:error=EIO", "cannot be replaced: Input/output error"),
                                 ("write:error=EIO:when=1", "cannot be written: Input/output error")):
            done = self.failing_call(None, injected, "stats", "--format=prometheus", "-o", out, self.trace)
            self.expect(done, 1, f"{out}: {phrase}")
            with open(out, encoding="ascii") as file:
                self.assertEqual(file.read(), "before")
        self.assertEqual([name for name in os.listdir(self.directory) if "out" in name], ["out"])

    def test_control_is_locked_out(self):
        done = self.failing_call(self.trace, "fcntl:error=ENOLCK", "control", "--tracing=on", self.trace)
        self.expect(done, 1, f"{self.trace}: cannot be locked: No locks available")

    def test_new_trace(self):
        trace = self.path("new-trace")
        self.expect(self.failing_call(None, "pwrite64:error=EIO:when=1", "run", "-o", "/dev/null", "--trace", trace, self.plain),
                    125, f"{trace}: cannot be written: Input/output error")
        self.assertFalse(os.path.exists(trace))

    def test_memory_of_run(self):
        for injected, phrase in (("memfd_create:error=EMFILE", "cannot be made: Too many open files"),
                                 ("fcntl:error=EPERM:when=1", "cannot be sealed: Operation not permitted")):
            done = self.failing_call(None, injected, "run", "-o", "/dev/null", self.plain)
            self.expect(done, 125, f"trace in memory: {phrase}")

    def test_run(self):
        out = self.write("events", "")
        self.expect(self.failing_call(out, "close:error=EIO", "run", "-o", out, self.plain), 0, "no recv or recvfrom was seen",
                    f"{out}: cannot be written: Input/output error")
        self.expect(self.failing_call(None, "pipe2:error=EMFILE", "run", "-o", out, self.plain), 125, "Too many open files")
        trace = self.path("run-trace")
        self.expect(self.failing_call(trace, "readlink:error=EACCES", "run", "-o", out, "--trace", trace, self.plain), 125,
                    f"{trace}: cannot be named: Permission denied")
        os.unlink(trace)
        self.expect(self.failing_call(trace, "openat:error=EMFILE:when=3", "run", "-o", out, "--trace", trace, self.plain), 125,
                    f"{trace}: cannot be opened: Too many open files")

    def test_without_random_numbers(self):
        done = self.failing_call(None, "getrandom:error=EAGAIN", "stats", self.trace)
        self.expect(done, 0)

    def test_maps(self):
        maps = f"/proc/{os.getpid()}/maps"
        for command in "show", "check":
            done = self.failing_call(maps, "read:error=EACCES", command, "-p", str(os.getpid()))
            self.expect(done, 1, f"process {os.getpid()}: cannot be looked into: Permission denied")
        with Running([self.plain, "wait"], LD_PRELOAD=self.library, RECVSHIM_TRACE=self.path("mapped")) as process:
            for which in range(1, 20):  # it is read several times
                done = self.failing_call(f"/proc/{process.pid}/maps", f"read:error=EACCES:when={which}", "check", "-p",
                                         str(process.pid))
                self.assertIn(done.returncode, (0, 1))
                self.assertNotEqual(done.stdout + done.stderr, "")
            self.assertIn("is traced", done.stdout)

    def test_process_that_ends(self):
        """Between two looks any of its files may be gone, or empty."""
        with Running([self.plain, "wait"], LD_PRELOAD=self.library) as process:
            files = f"/proc/{process.pid}/"
            maps = f"process {process.pid}: "
            for name, injected, status, phrases in (
                    ("status", "openat:error=ENOENT", 0, ()),
                    ("maps", "openat:error=EACCES", 1, (maps + "cannot be looked into: Permission denied",)),
                    ("maps", "read:retval=0", 1, (maps + "has just ended",)),
                    ("maps", "openat:error=ENOENT:when=2", 0, ()),
                    ("environ", "openat:error=ENOENT", 0, ()),
                    ("auxv", "openat:error=ENOENT", 0, ()),
                    ("fd", "openat:error=ENOENT", 0, ()),
                    ("exe", "openat:error=ENOENT:when=2", 0, ()),
                    ("exe", "openat:error=ENOENT", 1, ())):
                with self.subTest(name=name, injected=injected):
                    done = self.failing_call(files + name, injected, "check", "-p", str(process.pid))
                    self.expect(done, status, *phrases)
                    self.assertNotRegex(done.stdout, "it \n")

    def test_program_that_goes(self):
        self.expect(self.failing_call(self.plain, "openat:error=ENOENT:when=2", "check", self.plain), 0)
        for which in range(1, 8):  # it is looked at several times
            done = self.failing_call(self.plain, f"newfstatat:error=EIO:when={which}", "check", self.plain)
            self.assertIn(done.returncode, (0, 1))
            self.assertNotEqual(done.stdout + done.stderr, "")


class Others(Failures):
    """Processes and traces of other users, and those of one's own without root's rights."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can become another user")
        os.mkdir(cls.path("own"))
        os.chown(cls.path("own"), 65534, 65534)

    @contextlib.contextmanager
    def waiting(self, *before, **environment):
        """The specimen, once it is ready, until it is left."""
        with Running([*before, self.plain, "wait"], **self.environment, **environment) as process:
            self.assertEqual(process.out, "ready\n")
            yield process.pid

    @contextlib.contextmanager
    def under_run(self, *before):
        """The same under run, which holds the trace in its memory. The pid is that of the specimen."""
        with self.waiting(*before, self.recvshim, "run", "-q", "-o", "/dev/null") as pid:
            child, = children(pid)
            yield child

    def as_nobody(self, *arguments):
        return self.command(*arguments, before=NOBODY)

    def expect_seen(self, pid):
        """By each command as a user who may not look at map_files."""
        for arguments, phrase in ((("show",), "+++ started"), (("stats",), "1 process"), (("control",), "tracing    on"),
                                  (("control", "--tracing=on"), "tracing is on"), (("check",), "is traced")):
            done = self.as_nobody(*arguments, "-p", str(pid))
            self.expect(done, 0)
            self.assertIn(phrase, done.stdout)

    def test_own_process_under_run(self):
        with self.under_run(*NOBODY) as pid:
            self.expect_seen(pid)

    def test_own_process_with_a_file(self):
        with self.waiting(*NOBODY, "env", f"LD_PRELOAD={self.library}", f"RECVSHIM_TRACE={self.path('own/trace')}") as pid:
            self.expect_seen(pid)
            # Whoever has the name now is not what is mapped.
            os.rename(self.path("own/trace"), self.path("own/moved"))
            shutil.copy(self.trace, self.path("own/moved.copy"))
            os.chmod(self.path("own/moved.copy"), 0o644)
            with open(self.path("own/moved"), "rb"):
                os.link(self.path("own/moved.copy"), self.path("own/moved.other"))
            self.expect_seen(pid)
            os.rename(self.path("own/moved.copy"), self.path("own/moved"))
            os.link(self.path("own/moved"), self.path("own/moved (deleted)"))  # as the kernel calls it now
            for command in "show", "stats", "control":
                self.expect(self.as_nobody(command, "-p", str(pid)), 1, f"process {pid}: has no trace mapped")

    def test_trace_out_of_reach(self):
        os.mkdir(self.path("closed"), 0o700)
        trace = shutil.copy(self.trace, self.path("closed"))
        for command in ("show",), ("control", "--tracing=on"):
            self.expect(self.as_nobody(*command, trace), 1, f"{trace}: cannot be opened: Permission denied")

    def test_process_of_another(self):
        with self.under_run() as pid:
            for command in "show", "stats", "control":
                self.expect(self.as_nobody(command, "-p", str(pid)), 1,
                            f"process {pid}: cannot be looked into: Permission denied")
            self.expect(self.as_nobody("control", "-p", str(pid), "--tracing=off"), 1,
                        f"process {pid}: cannot be looked into: Permission denied; it belongs to root: run recvshim control as "
                        "that user")

    def test_memory_of_another(self):
        """A server that root started, and that became somebody else: it may be looked into, but not what run holds."""
        source = self.write("server.py", "import ctypes, os, sys\nos.setgid(65534)\nos.setuid(65534)\n"
                            "ctypes.CDLL(None).prctl(4, 1)\nprint('ready', flush=True)\nsys.stdin.read()\n")  # PR_SET_DUMPABLE
        with Running([self.recvshim, "run", "-o", "/dev/null", "/usr/bin/python3", source], **self.environment) as process:
            pid, = children(process.pid)
            why = f"process {pid}: has a trace mapped that cannot be opened from here: Permission denied"
            self.expect(self.as_nobody("show", "-p", str(pid)), 1, why)
            self.expect(self.as_nobody("control", "-p", str(pid), "--tracing=off"), 1, why)
            self.assertIn("none: it has a trace mapped that cannot be opened", self.as_nobody("check", "-p", str(pid)).stdout)


class Files(Failures):
    """Traces, outputs and programs that are not what they were, or not what they should be."""

    def test_unwritable_output(self):
        for command in ("show", self.trace), ("stats", self.trace), ("control", self.trace), ("check", self.plain):
            self.expect(self.command(*command, "-o", "/dev/full"), 1, "/dev/full: cannot be written: No space left on device")
            self.expect(self.command(*command, "-o", self.path("nowhere/out")), 1,
                        f"{self.path('nowhere/out')}: cannot be opened: No such file or directory")

    def test_output_to_a_file(self):
        for command in ("show", self.trace), ("stats", self.trace), ("control", self.trace), ("check", self.plain):
            out = self.path("out")
            self.expect(self.command(*command, "-o", out), 0)
            with open(out, encoding="utf-8") as file:
                self.assertEqual(file.read(), self.command(*command).stdout)

    def test_too_long_a_name(self):
        name = self.path("x" * 250)
        self.expect(self.command("stats", "--format=prometheus", "-o", name, self.trace), 1, "cannot be replaced: File name too")
        deep = self.directory + "/." * 2045
        self.expect(self.command("stats", "--format=prometheus", "-o", deep[:4080] + "/" + "y" * 14, self.trace), 1,
                    "cannot be replaced: File name too")
        self.expect(self.command("run", "-o", "/dev/null", "--trace", deep[:4060] + "/" + "z" * 30, self.plain), 125, "cannot be")

    def test_truncated_while_it_runs(self):
        trace = self.path("truncated")
        done = self.command("run", "-o", "/dev/null", "--trace", trace, "/bin/sh", "-c", f"/usr/bin/truncate -s 4096 {trace}")
        self.expect(done, 0, f"{trace}: was truncated; the program goes on, and its events are no longer printed")

    def test_hole_that_cannot_be_filled(self):
        """As if it were truncated between two looks: a page of a file in memory, for which there is no memory any more."""
        mounted = self.path("mounted")
        os.mkdir(mounted)
        script = (f"mount -t tmpfs -o size=64k none {mounted} || exit 77; cd {mounted}; truncate -r {self.trace} trace;"
                  f"dd if={self.trace} of=trace bs=4096 count=1 conv=notrunc status=none; cat /dev/zero >rest 2>/dev/null;"
                  '"$@" trace')
        for command, phrase in (("show", "was truncated while it was read"), ("stats", "was truncated while it was read"),
                                ("control", "was truncated meanwhile"), ("control --tracing=off", "was truncated meanwhile")):
            done = self.command(*command.split(), before=["unshare", "-m", "sh", "-c", script, "sh"])
            if done.returncode == 77:
                self.skipTest("mount namespaces are not permitted here")
            self.expect(done, 1, f"trace: {phrase}")

    def test_percent_sign(self):
        """It is no variable of the library's."""
        trace = self.path("100%p")
        self.expect(self.command("run", "-q", "-o", "/dev/null", "--trace", trace, self.plain), 0)
        self.assertIn("+++ started", self.command("show", trace).stdout)

    def test_what_cannot_be_started(self):
        path = self.build("no-loader", "-Wl,--dynamic-linker=/nonexistent")
        self.expect(self.command("run", "-q", path), 127, f"{path}: cannot be run: the loader that {path} names is not there")
        path = shutil.copy(self.library, self.path("a b.so"))
        self.expect(self.command("run", "-q", self.plain, RECVSHIM_LIBRARY=path), 125,
                    f"{path}: the loader takes no path with a colon or a space; set RECVSHIM_LIBRARY to another")

    def test_library_that_is_nowhere(self):
        """Neither beside the command nor where it would be installed."""
        os.mkdir(self.path("alone"))
        command = shutil.copy(self.recvshim, self.path("alone"))
        if not os.path.exists("/usr/lib/x86_64-linux-gnu/librecvshim.so"):
            self.expect(run([command, "check", self.plain]), 1, "librecvshim.so: the library is not there, and nothing can be traced")

    def test_without_path(self):
        environment = {**os.environ, **self.environment}
        environment.pop("PATH", None)
        done = subprocess.run([self.recvshim, "check", "sh"], env=environment, capture_output=True, text=True, check=False,
                              timeout=LIMIT)
        self.expect(done, 0)
        self.assertTrue(done.stdout.startswith("sh can be traced"), done)

    def test_without_arguments(self):
        done = self.command()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("Usage: recvshim COMMAND", done.stderr)


if __name__ == "__main__":
    FAILING = os.path.abspath(sys.argv.pop(3))
    main()
