"""The specimen: one program, built and started in as many ways as there are kinds of programs, and what tests of the
command on it share. Copies of the command and the library stand where every user reaches them."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from finished import LIMIT, run

HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def remarks(err):
    """What recvshim itself says, of all that was written to stderr."""
    return [line for line in err.splitlines() if line.startswith("recvshim: ")]


def children(pid):
    """None where it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return list(map(int, file.read().split()))
    return []


class Running:
    """A program that says a line once it is ready, and runs until its standard input ends."""

    def __init__(self, arguments, **environment):
        self.process = subprocess.Popen(arguments, env={**os.environ, **environment}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.out = self.process.stdout.readline()
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def end(self):
        """All that it said, and what recvshim did."""
        out, err = self.process.communicate(timeout=LIMIT)
        return self.out + out, remarks(err)


def wait_for(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition does not come true")
        time.sleep(0.01)


class Specimens(unittest.TestCase):
    built = ()  # the command and the library, from the command line

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(dir="/var/tmp", prefix="recvshim-test.")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        os.chmod(cls.directory, 0o755)
        cls.recvshim, cls.library = (shutil.copy(path, cls.directory) for path in cls.built)
        cls.environment = {"RECVSHIM_LIBRARY": cls.library}
        cls.plain = cls.build("plain")

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
    def build(cls, name, *options, compiler="gcc", source="specimen.c"):
        if shutil.which(compiler) is None:
            raise unittest.SkipTest(f"{compiler} is not installed")
        path = cls.path(name)
        # The package gcc-multilib, which has a link to them, is at odds with all cross compilers.
        headers = ["-idirafter", "/usr/include/x86_64-linux-gnu"] if "-m32" in options else []
        subprocess.run([compiler, "-O1", "-o", path, os.path.join(HERE, source), *options, *headers], check=True, timeout=LIMIT)
        return path

    def copy(self, name, mode, owner=0):
        """A copy of the specimen, owned by another user and with a special mode."""
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        if os.statvfs(self.directory).f_flag & os.ST_NOSUID:
            self.skipTest("this file system is mounted nosuid")
        path = shutil.copy(self.plain, self.path(name))
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        return path

    def command(self, *arguments, before=(), **environment):
        return run([*before, self.recvshim, *arguments], **{**self.environment, **environment})

    def run_quiet(self, *arguments, before=(), options=()):
        """Run it, without its events. The process, and what was said of it."""
        done = self.command("run", "-o", "/dev/null", *options, "--", *arguments, before=before)
        return done, remarks(done.stderr)


def main():
    """Of each suite: RECVSHIM LIBRARY [unittest arguments]."""
    for name in "LD_PRELOAD", "RECVSHIM_LIBRARY":
        os.environ.pop(name, None)
    Specimens.built = [os.path.abspath(path) for path in sys.argv[1:3]]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
