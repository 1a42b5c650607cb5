#!/usr/bin/env python3
"""Run tests of Python's unittest, in a process of its own, and note how each ends.

Usage: outcomes.py TESTS RESULTS   (TESTS: in JSON, names of modules, classes or tests; words of the ids that are left
                                    out; and the seconds after which it is a hang)
"""
import faulthandler
import json
import sys
import unittest


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


def read(path):
    """The outcomes of a run, by test: none where it did not come so far."""
    found = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                test, outcome = json.loads(line)
                # A failure in a subtest is not made good by what comes after.
                if found.get(test) != "failure":
                    found[test] = outcome
    except FileNotFoundError:
        pass
    return found


def main(names, left_out, limit, results):
    faulthandler.dump_traceback_later(limit, exit=True)
    with open(results, "w", encoding="utf-8") as file:
        Outcomes.file = file
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        kept = [test for test in flat(suite) if not any(word in test.id() for word in left_out)]
        # Their order is the loader's; in a suite, so that the set-up of classes and modules is done.
        unittest.TextTestRunner(stream=sys.stdout, resultclass=Outcomes, verbosity=2).run(unittest.TestSuite(kept))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]), sys.argv[2])
