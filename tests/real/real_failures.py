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
import tempfile
import unittest

from finished import LIMIT, run

RECVSHIM = LIBRARY = FAILING = None
HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
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


class Failures(unittest.TestCase):
    """With copies of the command and the library where every user may reach them, and a trace of three hundred
    connections."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(dir="/var/tmp", prefix="recvshim-test.")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        os.chmod(cls.directory, 0o755)
        cls.recvshim = shutil.copy(RECVSHIM, cls.directory)
        cls.library = shutil.copy(LIBRARY, cls.directory)
        cls.failing = shutil.copy(FAILING, cls.directory)
        cls.environment = {"RECVSHIM_LIBRARY": cls.library}
        cls.plain = cls.build("plain")
        cls.busy = cls.write("busy.py", BUSY)
        cls.trace = cls.path("trace")
        cls.run_busy(cls.trace)

    @classmethod
    def run_busy(cls, trace, *options):
        done = run([cls.recvshim, "run", "-q", "--calls=all", "--fault=*:delay=1us", "--seed=1", *options, "--trace", trace,
                    sys.executable, cls.busy], **cls.environment)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def write(cls, name, text, mode=0o755):
        with open(cls.path(name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(cls.path(name), mode)
        return cls.path(name)

    @classmethod
    def build(cls, name, *options):
        subprocess.run(["gcc", "-O1", "-o", cls.path(name), os.path.join(HERE, "specimen.c"), *options], check=True,
                       timeout=LIMIT)
        return cls.path(name)

    def command(self, *arguments, before=(), **environment):
        return run([*before, self.recvshim, *arguments], **self.environment, **environment)

    def expect(self, done, status, *phrases):
        """The status, and lines on stderr, each ours, that have these in them."""
        lines = done.stderr.splitlines()
        self.assertEqual((done.returncode, len(lines)), (status, len(phrases)), done)
        for line, phrase in zip(lines, phrases):
            self.assertTrue(line.startswith("recvshim: "), done)
            self.assertIn(phrase, line)


class Memory(Failures):
    """Each place that allocates, at its first turn and at the second, when what it made grows."""

    def fail_each(self, *arguments, statuses=(1,)):
        """Whatever fails, it ends with one of these statuses, and with words; or it did without."""
        usual = self.command(*arguments)
        mark = self.path("failed")
        for turn in (1, 2):
            for place in range(1, 1024):
                done = self.command(*arguments, LD_PRELOAD=self.failing, RECVSHIM_TEST_PLACE=str(place),
                                    RECVSHIM_TEST_TURN=str(turn), RECVSHIM_TEST_FAILED=mark)
                if not os.path.exists(mark):
                    break
                os.unlink(mark)
                if (done.returncode, done.stdout) != (0, usual.stdout):
                    self.assertIn(done.returncode, statuses, done)
                    self.assertNotEqual(done.stderr + done.stdout, "", done)
            self.assertGreater(place + turn, 2)

    def test_show(self):
        for form in "text", "json", "csv", "chrome", "faults":
            self.fail_each("show", "--format", form, self.trace)

    def test_stats(self):
        for form in "text", "json", "prometheus":
            self.fail_each("stats", "--format", form, self.trace)

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
        return self.command(*arguments, before=["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", *only, "-e",
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

    def test_without_random_numbers(self):
        done = self.failing_call(None, "getrandom:error=EAGAIN", "stats", self.trace)
        self.expect(done, 0)

    def test_maps(self):
        maps = f"/proc/{os.getpid()}/maps"
        for command in "show", "check":
            done = self.failing_call(maps, "read:error=EACCES", command, "-p", str(os.getpid()))
            self.expect(done, 1, f"process {os.getpid()}: cannot be looked into: Permission denied")


def main():
    global RECVSHIM, LIBRARY, FAILING
    RECVSHIM, LIBRARY, FAILING = (os.path.abspath(path) for path in sys.argv[1:4])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])


if __name__ == "__main__":
    main()
