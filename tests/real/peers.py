"""Tests that others wrote for their own programs, run natively and under recvshim: each must end as it does without.

A suite is made of parts, each of which is one program. What ends otherwise is run again, natively and under recvshim:
one that is as unsteady natively is flaky, whatever is preloaded.
"""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import outcomes

LIMIT = 600  # seconds for a part: only what hangs comes near
TRIES = 5
END = "how it ended"
NATIVE = None

# Programs that use fixed ports do so in a network of their own, from which nothing is reached but itself.
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]

NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def network_alone():
    """What stands before a command so that it has a network of its own, or nothing where that is not allowed."""
    may = subprocess.run([*ALONE, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return ALONE if may.returncode == 0 else []


# ---- the parts, by what their programs print ----

class Part:
    """A program that prints TAP, the protocol of Perl's tests."""

    def __init__(self, name, command, directory=None, limit=LIMIT, options=(), root=True,
                 together=True):
        self.name, self.command, self.limit = name, command, limit
        self.options = list(options)  # for recvshim run
        self.root = root  # whether it may run as root
        self.together = together  # whether two of it may run at once
        self.directory = directory  # it runs in a copy of this one: many leave files there

    def arguments(self, _):
        return self.command

    def outcomes(self, run):
        return tap(run.output)

    def narrowed(self, _):
        """The part without its other tests, where that can be had."""
        return self


PYTHON = "/usr/bin/python3.11"


class Unittest(Part):
    """Modules, classes or tests of Python's unittest; but not those whose ids hold one of the words."""

    def __init__(self, name, tests, left_out=(), **others):
        super().__init__(name, [PYTHON, outcomes.__file__], **others)
        self.tests, self.left_out = list(tests), list(left_out)

    def arguments(self, run):
        return [*self.command, json.dumps([self.tests, self.left_out, self.limit - 10]), run.path("results")]

    def outcomes(self, run):
        return outcomes.read(run.path("results"))

    def narrowed(self, tests):
        if not all(re.fullmatch(r"[\w.]+", test) for test in tests):
            return self
        return Unittest(self.name, tests, limit=self.limit, options=self.options)


class Ruby(Part):
    """Of Ruby's test-unit, with -v."""

    def outcomes(self, run):
        found = dict.fromkeys(re.findall(r"^\[ *\d+/\d+\] (\S+) = [\d.]+ s", run.output, re.MULTILINE), "ok")
        for outcome, test in re.findall(r"^ *\d+\) (\w+):\n([^\s:]+)", run.output, re.MULTILINE):
            found[test] = outcome.lower()
        return found


def tap(output):
    """By number, or by description where there is no number, as in tests of several processes that print."""
    found, seen = {}, collections.Counter()
    for line in output.splitlines():
        if line.startswith("1..0"):
            found["all of it"] = "skipped" + line[4:]
        match = re.match(r"(not )?ok\b *(\d*)(.*)", line)
        if not match:
            continue
        failed, number, rest = match.groups()
        if not number:
            name = re.sub(r"\b0x[0-9a-f]+|\d+", "N", rest.strip(" #-"))  # ports, pids, addresses
            seen[name] += 1
            number = f"{name} ({seen[name]})"
        directive = re.search(r"# *(skip|todo)\b.*", rest, re.IGNORECASE)
        if directive and directive[1].lower() == "skip":
            found[number] = "skipped"
        elif directive:
            found[number] = "expected failure" if failed else "unexpected success"
        else:
            found[number] = "failure" if failed else "ok"
    return found


# ---- one run ----

class Run:
    """How the tests of a part end, natively or under `recvshim run` with these options."""

    def __init__(self, part, directory, recvshim=NATIVE, options=(), network=()):
        self.part, self.directory = part, tempfile.mkdtemp(dir=directory)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RECVSHIM_")}
        environment.update(TMPDIR=self.path("tmp"), HOME=self.path("tmp"))
        os.mkdir(environment["TMPDIR"])
        work = self.directory
        if part.directory:
            work = shutil.copytree(part.directory, self.path("work"), symlinks=True)
        user = []
        if not part.root and os.geteuid() == 0:
            user = NOBODY
            for path in [self.directory, *(os.path.join(at, name) for at, directories, files in os.walk(self.directory)
                                           for name in directories + files)]:
                shutil.chown(path, "nobody", "nogroup")
        shim = [recvshim, "run", "--quiet", "--calls=all", "--events=all", "--size=64M", "--full=stop",
                "--trace=" + self.path("trace"), "--output=" + os.devnull, *options, *part.options, "--"]
        self.ended = self.run([*network, *user, *(shim if recvshim else []), *part.arguments(self)], work, environment)
        with open(self.path("output"), encoding="utf-8", errors="replace") as file:
            self.output = file.read()
        self.outcomes = part.outcomes(self)
        self.stats = self.read_stats(recvshim) if recvshim else None

    def run(self, command, work, environment):
        """What the tests leave behind is ended, too."""
        with open(self.path("output"), "wb") as output, \
                subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, start_new_session=True) as process:
            try:
                status = process.wait(self.part.limit)
                return f"exit status {status if status >= 0 else 128 - status}"  # as recvshim run ends
            except subprocess.TimeoutExpired:
                return "a hang"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def read_stats(self, recvshim):
        done = subprocess.run([recvshim, "stats", "--format=json", self.path("trace")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=LIMIT, check=False)
        os.unlink(self.path("trace"))
        if done.returncode != 0:
            raise RuntimeError(f"{self.part.name}: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)

    @property
    def events(self):
        return self.stats["totals"]["events"]

    @property
    def lost(self):
        """For want of room."""
        return self.stats["losses"]["overwritten"] + self.stats["losses"]["dropped"]

    @property
    def died(self):
        """With the processes that were writing them: tests kill many."""
        return self.stats["losses"]["died"] + self.stats["losses"]["pending"]

    def path(self, name):
        return os.path.join(self.directory, name)

    def all_ends(self):
        return {**self.outcomes, END: self.ended}

    def said_of(self, test):
        """What the run printed of a test that failed."""
        name = test.rsplit(".", maxsplit=1)[-1]
        for mark in (f"FAIL: {name} ", f"ERROR: {name} ", f"not ok {name} ", f"{name} [", f"{name}:\n"):
            at = self.output.find(mark)
            if at >= 0:
                return self.output[at:at + 3000]
        return self.output[-3000:]


def counted(results):
    """How many passed, were skipped, and failed."""
    kinds = collections.Counter(outcome.split(":")[0].split()[0] for outcome in results.values())
    passed, skipped = kinds["ok"] + kinds["expected"], kinds["skipped"]
    return passed, skipped, sum(kinds.values()) - passed - skipped


# ---- two runs ----

def different(native, run):
    """The tests that ended otherwise, with both outcomes."""
    first, second = native.all_ends(), run.all_ends()
    return {test: (first.get(test), second.get(test)) for test in first.keys() | second.keys()
            if first.get(test) != second.get(test)}


Verdict = collections.namedtuple("Verdict", "word pair said")
DIFFERS, FLAKY, ONCE = "differs", "natively so at times", "not again"


def verdicts(part, run, unlike, again):
    """What to think of the tests that ended otherwise, after further pairs of runs, which `again` makes of a part."""
    rest, as_natively, found = dict(unlike), set(), {}
    for _ in range(TRIES):
        if not rest:
            break
        native, run_again = (one.all_ends() for one in again(part.narrowed(rest)))
        for test, pair in list(rest.items()):
            if native.get(test) == pair[1]:
                found[test] = Verdict(FLAKY, pair, "")
                del rest[test]
            elif run_again.get(test) == pair[0]:
                as_natively.add(test)
    for test, pair in rest.items():
        found[test] = Verdict(ONCE if test in as_natively else DIFFERS, pair, run.said_of(test))
    return found
