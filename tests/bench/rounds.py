"""Interleaved measurements: whoever is measured waits for its turn, and each round gives everybody one."""
import contextlib
import os
import random
import statistics
import subprocess
from pathlib import Path


def plain_environment():
    """The caller's, without what would make of what is measured something else."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("RECVSHIM_", "LD_", "LTTNG_", "FIU_"))}


class Process:
    """A benchmark that measures once for each line it is sent, and answers with numbers."""

    def __init__(self, command, environment, errors=None):
        """`errors` is a file for what it says on stderr."""
        self.name = Path(command[0]).name
        self.child = subprocess.Popen(list(map(str, command)), env=environment, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.pid = self.child.pid

    def turn(self):
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write("\n")
        answer = self.child.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"{self.name} ended with status {self.child.wait()}")
        return list(map(float, answer))

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def orders(names, rounds):
    """Each round's order: another one each time, so that none always follows the same one; the same in each run."""
    for number in range(rounds):
        yield random.Random(number).sample(names, len(names))


def take_turns(processes, rounds, before_each=lambda: None):
    """(name, answer) of every turn."""
    for order in orders(list(processes), rounds):
        for name in order:
            before_each()
            yield name, processes[name].turn()


def error_of_median(quarters, count):
    """Half of its 95 % interval, as box plots draw it (McGill, Tukey, Larsen 1978)."""
    return 1.57 * (quarters[2] - quarters[0]) / count ** 0.5


def summary(values, base=None):
    """What is known of a figure. `base` holds the native values of the same rounds."""
    quarters = statistics.quantiles(values, n=4)
    result = {"median": statistics.median(values), "min": min(values), "iqr": quarters[2] - quarters[0]}
    if base is not None:
        differences = [value - native for value, native in zip(values, base)]
        result["added"] = statistics.median(differences)
        result["added_error"] = error_of_median(statistics.quantiles(differences, n=4), len(differences))
        result["ratio"] = result["median"] / statistics.median(base)
        shares = [value / native for value, native in zip(values, base)]
        result["share"] = statistics.median(shares)
        result["share_error"] = error_of_median(statistics.quantiles(shares, n=4), len(shares))
    return result
