#!/usr/bin/env python3
"""CPython's own tests of interruptions, signals and sockets, from Debian's libpython3.11-testsuite: every test must end
under recvshim as it does without, whatever the policy.

Usage: real_python.py RECVSHIM LIBRARY
       real_python.py --part TESTS RESULTS   (a process of its own: run some tests, and note their outcomes)

The tests wait more than they compute, so that many run side by side; one that ends otherwise than the native run is run
again, alone, native and under the library, and counts as different only if it differs each time.
"""
import collections
import concurrent.futures
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import unittest

PYTHON = "/usr/bin/python3.11"
SKIPPED = 77
LIMIT = 200  # seconds for a part, which takes half a minute; for a test that is run again
AT_ONCE = 10
TRIES = 3

# What a part is made of: modules or classes, and what is left to other parts.
PARTS = {
    "eintr": (["test._test_eintr"], []),
    "signal": (["test.test_signal"], ["SiginterruptTest"]),
    "siginterrupt": (["test.test_signal.SiginterruptTest"], []),
    # On a virtual machine with a VSOCK device whose host does not answer these wait for it for ever, natively too.
    "socket": (["test.test_socket"], ["VSOCK"]),
}
POLICIES = {
    "always": {},
    "always, TERM and ALRM pass": {"RECVSHIM_EINTR_PASS": "TERM,ALRM"},
    "intent": {"RECVSHIM_EINTR": "intent"},
    "restart": {"RECVSHIM_EINTR": "restart"},
    "never": {"RECVSHIM_EINTR": "never"},
}
NATIVE = None


# ---- one part, in a process of its own ----

class Outcomes(unittest.TextTestResult):
    """Writes each test's outcome down at once: nothing is lost if a later one hangs."""

    file = None

    def note(self, test, outcome):
        print(json.dumps([test.id(), outcome]), file=self.file, flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.note(test, "unfinished")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "ok")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failure")

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "error")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failure")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "unexpected success")


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def run_part(names, left_out, results):
    faulthandler.dump_traceback_later(LIMIT - 10, exit=True)
    with open(results, "w", encoding="utf-8") as file:
        Outcomes.file = file
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        kept = [test for test in flat(suite) if not any(word in test.id() for word in left_out)]
        # Their order is the loader's; in a suite, so that the set-up of classes and modules is done.
        unittest.TextTestRunner(stream=sys.stdout, resultclass=Outcomes, verbosity=2).run(unittest.TestSuite(kept))


# ---- all of them ----

class Run:
    """The outcomes of some tests under one policy; of none: without the library."""

    def __init__(self, directory, library, policy, names, left_out=()):
        self.directory = tempfile.mkdtemp(dir=directory)
        self.results, self.trace = self.path("results"), self.path("trace")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RECVSHIM_")}
        environment["TMPDIR"] = self.path("tmp")
        os.mkdir(environment["TMPDIR"])
        if policy is not NATIVE:
            environment.update(POLICIES[policy], LD_PRELOAD=library, RECVSHIM_TRACE=self.trace, RECVSHIM_EVENTS="all",
                               RECVSHIM_SIZE="16M")
        arguments = json.dumps([list(names), list(left_out)])
        try:
            done = subprocess.run([PYTHON, __file__, "--part", arguments, self.results], env=environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=LIMIT, cwd=self.directory, check=False, start_new_session=True)
            self.output, self.ended = done.stdout.decode(errors="replace"), f"exit status {done.returncode}"
        except subprocess.TimeoutExpired as error:
            self.output, self.ended = (error.stdout or b"").decode(errors="replace"), "a hang"
        self.outcomes = {}
        if os.path.exists(self.results):
            with open(self.results, encoding="utf-8") as file:
                for line in file:
                    test, outcome = json.loads(line)
                    # A failure in a subtest is not made good by what comes after.
                    if self.outcomes.get(test) != "failure":
                        self.outcomes[test] = outcome

    def path(self, name):
        return os.path.join(self.directory, name)

    def said_of(self, test):
        """What the run printed of a test that failed."""
        at = self.output.find(f"FAIL: {test.split('.')[-1]} ")
        at = self.output.find(f"ERROR: {test.split('.')[-1]} ") if at < 0 else at
        return self.output[at:at + 3000] if at >= 0 else self.output[-3000:]


def is_as_meant(part, policy, seen):
    """Python ticks with SIGALRM, without SA_RESTART: whether the trace shows that EINTR reached it where it must."""
    return part != "eintr" or (seen["interrupted"] == 0) == (policy == "always")


def different(native, run):
    """The tests that ended otherwise, with both outcomes."""
    return {test: (native.outcomes.get(test), run.outcomes.get(test))
            for test in native.outcomes.keys() | run.outcomes.keys()
            if native.outcomes.get(test) != run.outcomes.get(test)}


def confirmed(directory, library, policy, tests):
    """Those of the tests that differ again whenever they are run alone; with what they printed."""
    found = {}
    for test in tests:
        for _ in range(TRIES):
            native = Run(directory, library, NATIVE, [test])
            run = Run(directory, library, policy, [test])
            pair = native.outcomes.get(test), run.outcomes.get(test)
            if pair[0] == pair[1]:
                break
        else:
            found[test] = pair, run.said_of(test)
    return found


def events(recvshim, trace):
    """How many of each event a trace has."""
    shown = subprocess.run([recvshim, "show", "--format", "json", trace], stdout=subprocess.PIPE, check=True,
                           timeout=LIMIT)
    return collections.Counter(json.loads(line)["event"] for line in shown.stdout.splitlines())


def main(recvshim, library):
    with tempfile.TemporaryDirectory() as directory:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            # The longest first.
            order = sorted(PARTS, key=["siginterrupt", "socket", "signal", "eintr"].index)
            runs = {(part, policy): pool.submit(Run, directory, library, policy, *PARTS[part])
                    for part in order for policy in (NATIVE, *POLICIES)}
            runs = {key: future.result() for key, future in runs.items()}
        status = 0
        for part in PARTS:
            native = runs[part, NATIVE]
            print(f"{part}, native: {len(native.outcomes)} tests, {native.ended}:",
                  dict(collections.Counter(outcome.split(":")[0] for outcome in native.outcomes.values())))
            if "ok" not in native.outcomes.values() or native.ended != "exit status 0":
                print(native.output[-3000:])
                return 1
            for policy in POLICIES:
                run = runs[part, policy]
                unlike = different(native, run)
                if run.ended != native.ended:
                    print(f"{part}, {policy}: {run.ended}\n{run.output[-3000:]}")
                    status = 1
                seen = events(recvshim, run.trace)
                if not is_as_meant(part, policy, seen):
                    print(f"{part}, {policy}: EINTR reached the program {seen['interrupted']} times")
                    status = 1
                certain = confirmed(directory, library, policy, unlike)
                print(f"{part}, {policy}: {len(run.outcomes)} tests, {len(certain)} differ"
                      f" ({len(unlike)} in the first run); trace: {dict(seen)}")
                for test, (pair, output) in certain.items():
                    print(f"  {test}: native {pair[0]}, here {pair[1]}\n{output}")
                    status = 1
        return status


if __name__ == "__main__":
    if sys.argv[1] == "--part":
        run_part(*json.loads(sys.argv[2]), sys.argv[3])
    elif not os.path.exists(PYTHON) or subprocess.run([PYTHON, "-c", "import test._test_eintr"], check=False).returncode:
        print("python3.11 or libpython3.11-testsuite is not installed")
        sys.exit(SKIPPED)
    else:
        sys.exit(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])))
