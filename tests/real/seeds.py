#!/usr/bin/env python3
"""scripts/seeds on small programs that fail in a known way of known faults.

Usage: seeds.py SEEDS RECVSHIM [unittest arguments]
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SEEDS = RECVSHIM = None
LIMIT = 240  # seconds: only what hangs comes near
SHORT = ["--fault", "recv:short=1..3:p=0.3"]

# Takes one receive for a whole message, and does what it was told where it was not.
VICTIM = r"""
import os, signal, socket, sys
here, there = socket.socketpair()
there.sendall(b"12345678")
if len(here.recv(8)) < 8:
    print("this is no message")
    if sys.argv[1] == "wait":
        there.recv(8)
    elif sys.argv[1] == "loop":
        while True:
            pass
    elif sys.argv[1] == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    sys.exit(int(sys.argv[1]))
"""


class Seeds(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="recvshim-test.")
        self.addCleanup(shutil.rmtree, self.directory)
        self.kept = os.path.join(self.directory, "kept")
        self.environment = dict(os.environ, TMPDIR=self.directory)

    def seeds(self, *arguments, status):
        """Returns what it printed. Nothing hangs that is not told of another time."""
        ran = subprocess.run([SEEDS, "--recvshim", RECVSHIM, f"--timeout={LIMIT}", *arguments], capture_output=True,
                             text=True, timeout=20 * LIMIT, check=False, env=self.environment, cwd=self.directory)
        self.assertEqual(ran.returncode, status, ran.stdout + ran.stderr)
        if status in (0, 1):
            self.assertEqual(ran.stderr, "")
            return ran.stdout
        self.assertRegex(ran.stderr, "seeds: ")
        return ran.stderr

    def victim(self, how, *options, status=1):
        return self.seeds("--keep", self.kept, "--runs", "20", *options, *SHORT, "--", "/usr/bin/python3", "-c", VICTIM,
                          how, status=status)

    def failing(self, printed, words):
        """The seeds of which the summary says that they ended so."""
        found = re.search(rf"^  {words}: seeds? ([\d, ]+)$", printed, re.MULTILINE)
        self.assertIsNotNone(found, printed)
        seeds = found[1].split(", ")
        self.assertEqual(sorted(os.listdir(self.kept)), sorted(f"seed-{seed}" for seed in seeds))
        self.assertTrue(0 < len(seeds) < 20)
        self.assertIn("20 runs, seeds 1 to 20.\n", printed)
        self.assertIn(f"{20 - len(seeds)} passed, {len(seeds)} failed.", printed)
        self.assertIn("That was done, and it failed in the same way.", printed)
        return seeds

    def commands(self, printed):
        return re.findall(r"^  once more: +((?:.|\n)*?)(?=\n  That|\n\n|\Z)", printed, re.MULTILINE)

    def check_commands(self, printed, count, status):
        """What is printed for a person to type does what it says."""
        commands = self.commands(printed)
        self.assertEqual(len(commands), count)
        for command in commands:
            ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual((ran.returncode, ran.stdout), (status, "this is no message\n"), ran.stderr)

    def assert_ended(self, pid):
        """Now, or soon: SIGKILL takes its time. Who then waits for an orphan, and when, is another's affair."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] in "ZX":
                        return
            except OSError:
                return
            time.sleep(0.01)
        self.fail(f"process {pid} runs on")

    def test_a_status(self):
        printed = self.victim("3")
        seeds = self.failing(printed, "exit status 3")
        self.assertIn("    | this is no message\n", printed)
        self.check_commands(printed, len(seeds), 3)
        for seed in seeds:
            with open(os.path.join(self.kept, f"seed-{seed}", "faults"), encoding="ascii") as file:
                rules = [line for line in file if not line.startswith("#")]
            self.assertRegex(rules[0], r"^(recv|\*):short=[123]:when=1:per=connection:origin=[0-9a-f]+\n$")

    def test_that_seeds_repeat(self):
        first = self.failing(self.victim("3"), "exit status 3")
        shutil.rmtree(self.kept)
        self.assertEqual(self.failing(self.victim("3", "--jobs", "4"), "exit status 3"), first)
        shutil.rmtree(self.kept)
        printed = self.victim("3", "--first", first[-1], "--runs", "1")
        self.assertIn(f"exit status 3: seed {first[-1]}\n", printed)

    def test_a_crash(self):
        printed = self.victim("crash")
        self.check_commands(printed, len(self.failing(printed, "killed by SIGSEGV")), 128 + signal.SIGSEGV)

    def test_statuses_that_look_like_others(self):
        """recvshim says with them that a signal came, or that it failed."""
        for status in ("139", "125"):
            self.failing(self.victim(status), f"exit status {status}")
            shutil.rmtree(self.kept)

    def hanging(self, how, options, is_told):
        """What is printed of runs that hang. Those that were only slow are told of, too: there is more and more time,
        until is_told(printed, timeout)."""
        for timeout in (8, 60, LIMIT):
            shutil.rmtree(self.kept, ignore_errors=True)
            printed = self.victim(how, f"--timeout={timeout}", *options)
            if is_told(printed, timeout):
                return printed
        return self.fail(printed)

    def test_hanging_in_a_receive(self):
        """They are those that otherwise end with a status, and all are in the receive."""
        failing = self.failing(self.victim("3"), "exit status 3")

        def is_told(printed, timeout):
            seeds = re.search(rf"^  hung \(no end within {timeout} s\): seeds? ([\d, ]+)$", printed, re.MULTILINE)
            self.assertLessEqual(set(failing), set(seeds[1].split(", ")), printed)
            waits = re.findall(r"^  python3\[\d+\] waits in recvfrom\(\d+\)$", printed, re.MULTILINE)
            return seeds[1].split(", ") == failing and len(waits) == len(failing)

        printed = self.hanging("wait", ["--jobs=8"], is_told)
        self.failing(printed, r"hung \(no end within \d+ s\)")
        self.assertRegex(printed, r"\n    \| .* recv\(\d+, 8\)  fault: short=\d by rule 1 in receive \d")

    def test_hanging_in_a_loop(self):
        printed = self.hanging("loop", ["--jobs=4", "--runs=8"],
                               lambda printed, _: re.search(r"\n  python3\[\d+\] runs\n", printed))
        self.assertRegex(printed, r"  hung \(no end within \d+ s\): seed")

    def test_what_is_no_failure(self):
        printed = self.victim("3", "--ok", "0,3", status=0)
        self.assertRegex(printed, r"^20 runs, seeds 1 to 20.\n[1-9]\d* faults injected; 20 passed, 0 failed.\n$")
        self.assertEqual(os.listdir(self.kept), [])

    def test_that_nothing_is_left_without_a_failure(self):
        self.seeds("--runs", "3", "--fault", "*:delay=1ms", "--", "/usr/bin/python3", "-c", VICTIM, "3", status=0)
        self.assertEqual(os.listdir(self.directory), [])

    def test_children_that_stay(self):
        """They are ended with the run that they belong to."""
        script = "sleep 1000 & echo $! >>pids; exec /usr/bin/python3 -c \"$0\" 3"
        self.seeds("--runs", "2", "--fault", "*:delay=1ms", "--", "sh", "-c", script, VICTIM, status=0)
        with open(os.path.join(self.directory, "pids"), encoding="ascii") as file:
            pids = file.read().split()
        self.assertEqual(len(pids), 4)  # without recvshim, without faults, and 2 runs
        for pid in pids:
            self.assert_ended(pid)

    def test_a_program_that_fails_without_faults(self):
        said = self.seeds(*SHORT, "--", "sh", "-c", "echo as always; exit 3", status=2)
        self.assertIn("fails without recvshim, so nothing was tried: exit status 3\n    | as always\n", said)
        said = self.seeds(*SHORT, "--", "sh", "-c", '[ -z "$LD_PRELOAD" ]', status=2)
        self.assertIn("fails under recvshim without faults, so nothing was tried: exit status 1\n", said)

    def test_a_program_without_receives(self):
        self.assertIn("no rule ever acted", self.seeds("--runs", "2", *SHORT, "--", "true", status=2))

    def test_more_faults_than_there_may_be_rules(self):
        many = ("import socket\nhere, there = socket.socketpair()\nthere.sendall(b'm' * 21000)\n"
                "raise SystemExit(sum(len(here.recv(7)) < 7 for _ in range(3000)) > 1)")
        printed = self.seeds("--runs", "1", "--fault", "*:short=1..6", "--", "/usr/bin/python3", "-c", many, status=1)
        self.assertIn("which do not repeat it: ", printed)
        self.assertIn(" run --seed 1 --fault '*:short=1..6' -- /usr/bin/python3 -c ", printed)
        self.assertIn("That was done, and it failed in the same way.", printed)

    def test_a_failure_that_is_no_fault(self):
        """Another fails each time, whatever is injected: run once more it does not."""
        script = "echo >>runs; [ $(wc -l <runs) != 4 ]; status=$?; /usr/bin/python3 -c \"$0\" 0; exit $status"
        printed = self.seeds("--runs", "3", "--fault", "*:delay=1us", "--", "sh", "-c", script, VICTIM, status=1)
        self.assertIn("  exit status 1: seed 2\n", printed)
        self.assertIn("That was done, and ended otherwise: exit status 0.", printed)

    def test_wrong_usage(self):
        os.mkdir(self.kept)
        with open(os.path.join(self.kept, "seed-1"), "w", encoding="ascii"):
            pass
        for arguments, said in ((["true"], "--fault"), ([*SHORT], "give a command"),
                                (["--fault", "*:bogus", "true"], "'bogus' is no action"),
                                (["--keep", self.kept, *SHORT, "true"], "is not empty"),
                                (["--ok", "x", *SHORT, "true"], "--ok x: give exit statuses"),
                                (["--runs", "0", *SHORT, "true"], "give 1 run"),
                                ([*SHORT, "./no-such-program"], "No such file or directory")):
            self.assertIn(said, self.seeds(*arguments, status=2))

    def test_an_end_by_a_signal(self):
        """While a run hangs: what was started ends, and what was found is told."""
        script = "echo $$ >>pids; exec /usr/bin/python3 -c \"$0\" wait"
        with subprocess.Popen([SEEDS, "--recvshim", RECVSHIM, "--runs", "1000", "--timeout", "1000", *SHORT, "--", "sh",
                               "-c", script, VICTIM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment, cwd=self.directory) as seeds:
            hanging = self.await_receive(seeds)
            seeds.send_signal(signal.SIGINT)
            printed, said = seeds.communicate(timeout=LIMIT)
        self.assertEqual((seeds.returncode, said), (128 + signal.SIGINT, ""))
        self.assertRegex(printed, r"^Stopped by SIGINT after \d+ of 1000 runs.\n\d+ faults? injected; \d+ passed, 0 ")
        self.assert_ended(hanging)
        for kept in pathlib.Path(self.directory).glob("recvshim-seeds.*/*"):
            self.assertTrue((kept / "faults").exists(), kept)

    def await_receive(self, seeds):
        """Until the program waits in a receive for good; returns its pid."""
        while seeds.poll() is None:
            try:
                with open(os.path.join(self.directory, "pids"), encoding="ascii") as file:
                    pid = int(file.read().split()[-1])
                with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
                    if file.read().startswith("unix_stream"):
                        return pid
            except (OSError, IndexError, ValueError):
                pass
            time.sleep(0.01)
        self.fail(f"seeds ended with {seeds.returncode}")


if __name__ == "__main__":
    SEEDS = os.path.abspath(sys.argv.pop(1))
    RECVSHIM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
