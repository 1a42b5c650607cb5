"""What tests of transparency are made of: a program runs under strace, natively and in each way to use the library, and
under a filter of seccomp that kills it for any call but those that it is allowed."""
import os
import re
import shutil
import signal
import sys
import tempfile
import unittest

import finished
from system_calls import PORT, kind_of, own_calls

LIBRARY = VICTIMS = None
# Heaps of threads are put in order by calls that depend on where the kernel has put them.
STEADY = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1", "PYTHONHASHSEED": "0", "LC_ALL": "C"}
STRACE = ["strace", "-f", "-n", "-qq", "-s", "32", "-e", "signal=none"]

# What a traced program may be asked besides: README.md, "Connections". And a child of fork, who it is.
LOOK_UPS = re.compile(r"getppid\(|getsockname\(|getpeername\(|getsockopt\(\d+, SOL_SOCKET, SO_(?:TYPE|DOMAIN), |"
                      r"getsockopt\(\d+, SOL_TCP, TCP_INFO, |"
                      r"ppoll\(\[\{fd=\d+, events=POLLRDHUP\}\], 1, \{tv_sec=TIME, tv_nsec=TIME\}, NULL, 0\)")


class Way:
    """One way to run a program."""

    def __init__(self, library=True, trace=True, extra=None, **environment):
        self.library, self.trace, self.extra, self.environment = library, trace, extra, environment


NATIVE = Way(library=False, trace=False)
WAYS = {
    "idle": Way(trace=False, RECVSHIM_CALLS="recv,recvfrom"),
    "idle, all calls": Way(trace=False, extra=LOOK_UPS),
    "traced without look-ups": Way(RECVSHIM_LOOKUP="off"),
    "traced": Way(extra=LOOK_UPS),
}
# Under a filter: one that the library sees being installed, and one that it knows nothing of.
CONFINED_WAYS = {
    "idle": Way(trace=False),
    "traced": Way(),
    "traced without look-ups, unknown filter": Way(RECVSHIM_LOOKUP="off", CONFINED_SILENTLY="1"),
}


# Made or not, as threads, signals and the kernel's timers have it.
UP_TO_CHANCE = {
    64: {"clock_nanosleep", "futex", "getrandom", "restart_syscall", "rt_sigreturn", "sched_yield"},
    32: {"clock_nanosleep", "clock_nanosleep_time64", "futex", "futex_time64", "getrandom", "restart_syscall",
         "rt_sigreturn", "sched_yield", "sigreturn"},
}


def numbers_of(names, size):
    """Of calls of a program of so many bits."""
    with open(f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_{size}.h", encoding="ascii") as header:
        numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", header.read()))
    return {numbers[name] for name in names}


def bits():
    """Of the victims: 32 or 64, by the class that stands in an ELF file."""
    with open(f"{VICTIMS}/confined.so", "rb") as file:
        return {1: 32, 2: 64}[file.read(5)[4]]


def same_output(native, again, out):
    """Whether the output is the native one but for what differs from run to run."""
    words = [re.sub(rf"{PORT}|(?<=_us )\d+", "VARIES", text).split() for text in (native, again, out)]
    return len(set(map(len, words))) == 1 and all(a != b or a == c for a, b, c in zip(*words))


FATAL = {signal.SIGSYS, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}


class Transparency(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.directory)

    def strace(self, way, command):
        """Returns what it asked of the kernel, and how it ended."""
        directory = tempfile.mkdtemp(dir=self.directory)
        path = os.path.join(directory, "strace")
        settings = [f"--env={name}={value}" for name, value in self.environment(way, directory).items()]
        done = finished.run([*STRACE, "-o", path, *settings, *command])
        return own_calls(path, directory), done

    def confine(self, way, command, numbers):
        """Run it under a filter that kills for any other call. Returns how it ended."""
        environment = self.environment(way, tempfile.mkdtemp(dir=self.directory))
        return finished.run(["env", *(f"{name}={value}" for name, value in environment.items()),
                             "CONFINED_TO=" + ",".join(sorted(numbers)), *command])

    def survive(self, command, numbers, ended):
        """A filter that allows just these calls."""
        numbers = numbers | numbers_of(UP_TO_CHANCE[bits()], bits())
        again = self.confine(NATIVE, command, numbers)
        self.assertEqual(again.returncode, ended.returncode, "the filter is too strict")
        for label, way in CONFINED_WAYS.items():
            with self.subTest(filter=label):
                done = self.confine(way, command, numbers)
                self.assertEqual(done.returncode, ended.returncode, done)
                self.assertTrue(same_output(ended.stdout, again.stdout, done.stdout),
                                f"{done.stdout!r} instead of {again.stdout!r}")

    def kinds(self, way, command):
        """What is asked for by the calls -> an example of each; what was asked; and how it ended."""
        asked, done = self.strace(way, command)
        self.assertNotIn(-done.returncode, FATAL)
        return {kind_of(call): call for calls in asked.threads.values() for call in calls}, asked, done

    @staticmethod
    def environment(way, directory):
        trace = {"RECVSHIM_TRACE": os.path.join(directory, "trace.%p")} if way.trace else {}
        libraries = [LIBRARY] * way.library + [f"{VICTIMS}/confined.so"]
        return {**STEADY, "RECVSHIM_CALLS": "all", **trace, **way.environment, "LD_PRELOAD": " ".join(libraries)}


def main():
    """The library and the directory of the victims come before the arguments of unittest."""
    global LIBRARY, VICTIMS  # pylint: disable=global-statement
    LIBRARY, VICTIMS = map(os.path.abspath, sys.argv[1:3])
    unittest.main(module="__main__", argv=sys.argv[:1] + sys.argv[3:])
